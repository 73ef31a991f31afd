using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Evaluation;

/// <summary>
/// A generation graph, quantized or not, that gives the logits of every token of a window. Each window starts without a past. The file is measured as it
/// is, but for the choice of the last token, which is taken out of a copy.
/// </summary>
internal sealed class WindowModel : IDisposable
{
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly TensorBuffer _ids, _mask, _logits;
    private readonly TensorBuffer[] _keysAndValues;

    /// <param name="model">A generation graph of ours.</param>
    /// <param name="context">The longest window.</param>
    /// <param name="threads">Threads of the runtime; 0 = all cores.</param>
    public WindowModel(ModelProto model, int context, int threads)
    {
        _session = new OrtSession(GenerationGraph.WithAllLogits(model).ToByteArray(), new SessionSettings { Threads = threads });
        int vocabulary = (int)_session.Outputs.First(o => o.Name == GenerationGraph.Logits).Shape[2];
        _ids = TensorBuffer.Zeros(ElementType.Int64, context);
        _mask = TensorBuffer.Zeros(ElementType.Int64, context);
        _mask.Span<long>().Fill(1);
        _logits = TensorBuffer.Zeros(ElementType.Float, context, vocabulary);
        _bound = _session.Bind();
        _keysAndValues = [.. Pasts().Select(past => BindPast(past, context))];
    }

    /// <summary>See <see cref="WindowLogits"/>.</summary>
    public ReadOnlySpan<float> Logits(ReadOnlySpan<int> tokens)
    {
        var ids = _ids.Span<long>();
        for (int i = 0; i < tokens.Length; i++) ids[i] = tokens[i];
        long vocabulary = _logits.Shape[1];
        _bound.Input(GenerationGraph.InputIds, _ids.View(0, 1, tokens.Length))
            .Input(GenerationGraph.AttentionMask, _mask.View(0, 1, tokens.Length))
            .Output(GenerationGraph.Logits, _logits.View(0, 1, tokens.Length, vocabulary))
            .Run();
        return _logits.Span<float>()[..(int)(tokens.Length * vocabulary)];
    }

    public void Dispose()
    {
        _bound.Dispose();
        _session.Dispose();
        foreach (var buffer in _keysAndValues.Concat([_ids, _mask, _logits])) buffer.Dispose();
    }

    private IEnumerable<TensorInfo> Pasts() => _session.Inputs.Where(i => i.Name is not (GenerationGraph.InputIds or GenerationGraph.AttentionMask));

    /// <summary>One buffer is past and present, as in serving; each window overwrites it from the start.</summary>
    private TensorBuffer BindPast(TensorInfo past, int context)
    {
        var buffer = TensorBuffer.Zeros(past.Type, 1, past.Shape[1], context, past.Shape[3]);
        _bound.Input(past.Name, buffer).Output(past.Name.Replace("past_key_values", "present", StringComparison.Ordinal), buffer);
        return buffer;
    }
}
