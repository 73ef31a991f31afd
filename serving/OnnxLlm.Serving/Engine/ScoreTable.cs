namespace OnnxLlm.Serving.Engine;

/// <summary>The scores after each token of a prompt, as the model gave them.</summary>
internal sealed class ScoreTable : PromptReader
{
    private readonly List<float[]> _chunks = [];

    /// <summary>[n, V] in pieces of whole rows.</summary>
    public IReadOnlyList<float[]> Chunks => _chunks;

    public override void Read(IModelRunner runner, PrefillChunk chunk) => _chunks.Add(runner.Score(chunk.Slot, chunk.Tokens, chunk.Start).ToArray());
}
