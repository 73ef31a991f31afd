namespace OnnxLlm.Serving.Engine;

/// <summary>The scores after each token of a prompt, as the model gave them.</summary>
/// <param name="onlyLast">Those after the last token are all that anybody wants: the others are not even worked out.</param>
internal sealed class ScoreTable(bool onlyLast) : PromptReader
{
    private readonly List<float[]> _chunks = [];

    /// <summary>[n, V] in pieces of whole rows.</summary>
    public IReadOnlyList<float[]> Chunks => _chunks;

    public override void Read(IModelRunner runner, PrefillChunk chunk)
    {
        if (onlyLast) _chunks.Clear();
        _chunks.Add((onlyLast ? runner.Prefill(chunk.Slot, chunk.Tokens, chunk.Start) : runner.Score(chunk.Slot, chunk.Tokens, chunk.Start)).ToArray());
    }
}
