using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Finds the model that a body names.</summary>
internal static class ModelField
{
    /// <summary>The right to use it; null, with a mistake noted in the body, where it is not there or not for the route.</summary>
    /// <param name="task">The route's, see <see cref="ModelTask"/>.</param>
    public static ModelLease? Lease(RequestBody body, ModelRegistry registry, string? name, string task)
    {
        if (name is null) body.Refuse("model", "'model' is missing.");
        if (body.Error is not null) return null;
        var entry = registry.Find(name!);
        var lease = entry?.Enter();
        if (lease is null) body.Refuse(entry is { IsLoading: true } ? ApiError.ModelLoading(name!) : ApiError.ModelNotFound(name!));
        else if (lease.Description.Task != task)
        {
            body.Refuse(ApiError.WrongTask(lease.Description, task));
            lease.Dispose();
        }

        return body.Error is null ? lease : null;
    }
}
