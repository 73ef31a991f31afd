namespace OnnxLlm.Benchmarks.Peers;

/// <summary>ONNX Runtime GenAI on a package of ours, with a cache that past and present share.</summary>
internal sealed class GenAiLoop(GenAiModel model) : PeerLoop
{
    private GenAiGenerator? _generator;

    public override void Dispose()
    {
        _generator?.Dispose();
        model.Dispose();
    }

    protected override void Begin(int[][] prompts, int length)
    {
        _generator?.Dispose();
        _generator = model.Generator(prompts.Length, length);
        _generator.Append([.. prompts.SelectMany(prompt => prompt)]);
        _generator.Step();
    }

    protected override void Step() => _generator!.Step();
}
