using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Evaluation;

/// <summary>A generation graph of ours, quantized or not, with the key/value cache of one sequence: past and present are one buffer, as in serving.</summary>
internal sealed class SequenceModel : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly TensorBuffer _ids, _mask, _logits, _places;
    private readonly Dictionary<string, TensorBuffer> _keysAndValues;
    private readonly bool _allLogits;

    private SequenceModel(ModelProto model, int length, int threads, bool allLogits)
    {
        _allLogits = allLogits;
        _session = new OrtSession(model.ToByteArray(), new SessionSettings { Threads = threads });
        _ids = TensorBuffer.Zeros(ElementType.Int64, length);
        _mask = TensorBuffer.Zeros(ElementType.Int64, length);
        _mask.Span<long>().Fill(1);
        _places = TensorBuffer.Of([.. Enumerable.Range(-length, length).Select(place => (long)place)], length);
        if (allLogits && !_session.OptionalInputs.Any(i => i.Name == GenerationGraph.LogitsAt))
            throw new ToolException("The package is from before models gave the scores of all tokens; export or import it again.");
        _logits = TensorBuffer.Zeros(ElementType.Float, allLogits ? length : 1, _session.Outputs.First(o => o.Name == GenerationGraph.Logits).Shape[2]);
        _bound = _session.Bind();
        _keysAndValues = Pasts().ToDictionary(past => past.Name, past => BindPast(past, length));
    }

    /// <summary>Gives the logits of every new token.</summary>
    /// <param name="model">A generation graph of ours.</param>
    /// <param name="length">The longest sequence.</param>
    /// <param name="threads">Threads of the runtime; 0 = all cores.</param>
    public static SequenceModel ForMeasuring(ModelProto model, int length, int threads) => new(model, length, threads, allLogits: true);

    /// <summary>Gives the logits of the last new token only.</summary>
    /// <inheritdoc cref="ForMeasuring"/>
    public static SequenceModel ForAnswering(ModelProto model, int length, int threads) => new(model, length, threads, allLogits: false);

    /// <summary>The logits of a window that starts without a past; see <see cref="WindowLogits"/>.</summary>
    public ReadOnlySpan<float> Logits(ReadOnlySpan<int> tokens) => Append(tokens, past: 0);

    /// <summary>Reads new tokens after <paramref name="past"/> older ones; the logits are valid until the next call.</summary>
    public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens, int past)
    {
        var ids = _ids.Span<long>();
        for (int i = 0; i < tokens.Length; i++) ids[i] = tokens[i];
        int rows = _allLogits ? tokens.Length : 1;
        long vocabulary = _logits.Shape[1];
        if (_allLogits) _bound.Input(GenerationGraph.LogitsAt, _places.Rows(_places.Count - rows, rows));
        _bound.Input(GenerationGraph.InputIds, _ids.View(0, 1, tokens.Length))
            .Input(GenerationGraph.AttentionMask, _mask.View(0, 1, past + tokens.Length))
            .Output(GenerationGraph.Logits, _logits.View(0, rows, 1, vocabulary))
            .Run();
        return _logits.Span<float>()[..(int)(rows * vocabulary)];
    }

    /// <summary>A cache of keys or values, by its input's name: [1, G, longest length, K], the positions read so far first.</summary>
    public TensorBuffer Cache(string past) => _keysAndValues[past];

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        foreach (var buffer in _keysAndValues.Values.Concat([_ids, _mask, _logits, _places])) buffer.Dispose();
    }

    private IEnumerable<TensorInfo> Pasts() => _session.Inputs.Where(i => i.Name is not (GenerationGraph.InputIds or GenerationGraph.AttentionMask));

    private TensorBuffer BindPast(TensorInfo past, int length)
    {
        var buffer = TensorBuffer.Zeros(past.Type, 1, past.Shape[1], length, past.Shape[3]);
        _bound.Input(past.Name, buffer).Output(past.Name.Replace("past_key_values", "present", StringComparison.Ordinal), buffer);
        return buffer;
    }
}
