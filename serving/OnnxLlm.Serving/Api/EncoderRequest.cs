using System.Collections.Immutable;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>What a route of encoders is asked for, and the model that it is asked of, held until this is disposed.</summary>
/// <param name="Inputs">Texts with the places that are asked for.</param>
/// <param name="Candidates">What is told of each place, at most.</param>
internal sealed record EncoderRequest(ModelLease Lease, ImmutableArray<EncoderInput> Inputs, int Candidates) : IDisposable
{
    public EncoderModel Model => (EncoderModel)Lease.Model;

    public int Tokens => Inputs.Sum(input => input.Tokens.Length);

    /// <summary>Null where the body has a mistake, which it then knows.</summary>
    /// <param name="task">Of the route.</param>
    /// <param name="candidates">What is told of each place, at most.</param>
    /// <param name="most">What may be told in all.</param>
    /// <param name="input">Reads a text; notes in the body what is wrong with it.</param>
    public static EncoderRequest? Read(RequestBody body, ModelRegistry registry, RequestLimits limits, string task, int candidates, int most, Func<ServedModel, string, EncoderInput> input)
    {
        if (ModelField.Lease(body, registry, body.Text("model"), task) is not { } lease) return null;
        var request = new EncoderRequest(lease, [.. TextsField.Read(body, limits).Select(text => InContext(body, lease.Description, input(lease.Description, text)))], candidates);
        if (request.Told > most) body.Refuse("top_k", $"An answer tells at most {most} candidates for all places together; send less text, or lower 'top_k'.");
        if (body.Error is null) return request;
        request.Dispose();
        return null;
    }

    private long Told => Inputs.Sum(input => input.Places.Length) * (long)Math.Min(Candidates, Lease.Description.Scores);

    public void Dispose() => Lease.Dispose();

    private static EncoderInput InContext(RequestBody body, ServedModel model, EncoderInput input)
    {
        if (input.Tokens.Length > model.Context) body.Refuse(ApiError.ContextLength($"A text of 'input' has {input.Tokens.Length} tokens; the model reads at most {model.Context}."));
        return input;
    }
}
