namespace OnnxLlm.Serving.Api;

internal enum ConstraintKind
{
    JsonObject,
    JsonSchema,
    Regex,

    /// <summary>One of some texts, as a JSON list.</summary>
    Choice,
}

/// <summary>What an answer must look like, as the client wrote it.</summary>
internal sealed record ConstraintSpec(ConstraintKind Kind, string Text);
