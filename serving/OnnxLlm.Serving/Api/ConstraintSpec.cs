namespace OnnxLlm.Serving.Api;

internal enum ConstraintKind
{
    JsonObject,
    JsonSchema,
    Regex,

    /// <summary>One of some texts, as a JSON list.</summary>
    Choice,

    /// <summary>Calls of functions, and text before them where that is possible; see <see cref="CallGrammar"/>.</summary>
    Calls,
}

/// <summary>What an answer must look like, as the client wrote it.</summary>
internal sealed record ConstraintSpec(ConstraintKind Kind, string Text);
