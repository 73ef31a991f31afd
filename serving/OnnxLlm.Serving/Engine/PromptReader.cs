namespace OnnxLlm.Serving.Engine;

/// <summary>What somebody wants of a prompt other than an answer. The engine lets it read chunk by chunk; its owner looks at it once the sequence has ended.</summary>
internal abstract class PromptReader
{
    /// <summary>The forward pass over the next tokens.</summary>
    public abstract void Read(IModelRunner runner, PrefillChunk chunk);
}
