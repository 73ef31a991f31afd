using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine.Constraints;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>A request that was understood, and the model that it is for, held until this is disposed.</summary>
internal sealed record ReadRequest(GenerationRequest Request, ModelLease Lease) : IDisposable
{
    public DecoderModel Model => Lease.Decoder;

    public void Dispose() => Lease.Dispose();
}

/// <summary>How a route reads the part of a body that is its own, once the shared fields are read.</summary>
internal delegate GenerationRequest ReadPrompts(RequestBody body, ServedModel model, GenerationRequest shared);

/// <summary>Turns bodies into requests: finds the model, reads the fields, checks that they fit, compiles what the answer must look like.</summary>
internal sealed class GenerationReader(ModelRegistry registry, JsonBody json, ServerOptions options, Entropy entropy)
{
    /// <param name="model">Where the path names the model; otherwise the body does.</param>
    public Task<(ReadRequest? Read, ApiError? Error)> ReadAsync(HttpContext context, string? model, ReadPrompts read) =>
        json.ReadAsync(context, body => Read(body, model, read));

    private ReadRequest? Read(RequestBody body, string? model, ReadPrompts read)
    {
        if (model is not null) GenerateParser.Lift(body);
        if (ModelField.Lease(body, registry, model ?? body.Text("model"), ModelTask.Generation) is not { } lease) return null;
        var request = Read(body, lease.Description, read);
        if (body.Error is null) return new ReadRequest(request, lease);
        lease.Dispose();
        return null;
    }

    private GenerationRequest Read(RequestBody body, ServedModel model, ReadPrompts read)
    {
        var request = read(body, model, new SamplingFields(body, model, options.Limits, entropy.NextSeed).Read());
        if (body.Error is null && request.Misfit(model.Context, options.Limits) is { } misfit) body.Refuse(misfit);
        return body.Error is null && request.Format is { } format ? request with { Constraint = Compile(body, model, format) } : request;
    }

    private static Constraint? Compile(RequestBody body, ServedModel model, ConstraintSpec format)
    {
        var (constraint, error) = model.Constraints.Find(format);
        if (error is not null) body.Refuse(error);
        return constraint;
    }
}
