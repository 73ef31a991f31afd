using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Finds the model that a body names.</summary>
internal static class ModelField
{
    /// <summary>The right to use it; null, with a mistake noted in the body, where it is not there or not fit for the route.</summary>
    /// <param name="misfit">Why a model is not fit, or null.</param>
    public static ModelLease? Lease(RequestBody body, ModelRegistry registry, string? name, Func<LoadedModel, ApiError?> misfit)
    {
        if (name is null) body.Refuse("model", "'model' is missing.");
        if (body.Error is not null) return null;
        var entry = registry.Find(name!);
        var lease = entry?.Enter();
        if (lease is null) body.Refuse(entry is { IsLoading: true } ? ApiError.ModelLoading(name!) : ApiError.ModelNotFound(name!));
        else if (misfit(lease.Model) is { } error)
        {
            body.Refuse(error);
            lease.Dispose();
        }

        return body.Error is null ? lease : null;
    }
}
