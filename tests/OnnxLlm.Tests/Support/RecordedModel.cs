using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Support;

/// <summary>One of the tiny models of Recorded/record_reference.py: its configuration, parameters, and what PyTorch makes of them.</summary>
internal sealed class RecordedModel : IDisposable
{
    public const int Batch = 2, Time = 12;

    private readonly SafetensorsFile _weights, _reference;

    public RecordedModel(string name)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Recorded", name);
        Config = ModelConfig.Load(Path.Combine(folder, "config.json"));
        _weights = Safetensors.Open(Path.Combine(folder, "model.safetensors"));
        _reference = Safetensors.Open(Path.Combine(folder, "reference.safetensors"));
    }

    public static TheoryData<string> Names => ["gpt2-tiny", "llama-tiny", "qwen2-tiny"];

    public static TheoryData<string, bool> NamesAndKernels => new()
    {
        { "gpt2-tiny", true }, { "gpt2-tiny", false }, { "llama-tiny", true }, { "llama-tiny", false }, { "qwen2-tiny", true }, { "qwen2-tiny", false },
    };

    public ModelConfig Config { get; }

    public IEnumerable<(string Name, long[] Shape)> Parameters => _weights.Entries.Select(e => (e.Name, e.Shape.ToArray()));

    public long[] InputIds => _reference.Span<long>("input_ids").ToArray();

    public long[] Labels => _reference.Span<long>("labels").ToArray();

    /// <summary>Weight of one token in the recorded loss, the mean over the labels that count.</summary>
    public float LossScale => 1f / Labels.Count(l => l != -100);

    public float[] Reference(string name) => _reference.Span<float>(name).ToArray();

    public float[] Weight(string name) => _weights.Span<float>(name).ToArray();

    public void Dispose()
    {
        _weights.Dispose();
        _reference.Dispose();
    }
}
