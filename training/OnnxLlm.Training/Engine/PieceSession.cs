using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training.Engine;

/// <summary>
/// A graph over [B, T] tokens, with a label for each or one for each sequence, bound to the tensors of an engine. A micro-batch of more tokens is run in pieces: as fewer sequences at a time,
/// as sequences cut into shorter ones, or both.
/// </summary>
internal sealed class PieceSession : IDisposable
{
    private readonly MirroredTensor _inputIds;
    private readonly MirroredTensor _labels;
    private readonly MirroredTensor _attentionMask;
    private readonly MirroredTensor _decoderInputIds;
    private readonly MirroredTensor _tokenLosses;
    private readonly MirroredTensor _predictions;
    private readonly OrtSession _session;
    private readonly BoundSession _bound;
    private readonly bool _masks, _decodes;

    /// <param name="tensor">The tensor bound to an input or output; those that belong to a micro-batch are made here.</param>
    public PieceSession(Graph graph, TrainingShape shape, SessionSettings settings, IEnumerable<(string Input, string Output)> inPlace, Func<string, TensorBuffer> tensor)
    {
        (Shape, _masks, _decodes) = (shape, graph.Inputs.Any(input => input.Name == "attention_mask"), graph.Inputs.Any(input => input.Name == "decoder_input_ids"));
        var labels = graph.Inputs.Single(input => input.Name == "labels").Shape;
        Labels = (int)labels.ElementCount;
        Predicts = graph.Outputs.Any(output => output.Name == "predictions");
        _inputIds = new MirroredTensor(settings.Device, ElementType.Int64, shape.Batch, shape.Time);
        _labels = new MirroredTensor(settings.Device, ElementType.Int64, labels.ToArray());
        _attentionMask = new MirroredTensor(settings.Device, ElementType.Int64, shape.Batch, shape.Time);
        _decoderInputIds = new MirroredTensor(settings.Device, ElementType.Int64, shape.Batch, shape.Time);
        _tokenLosses = new MirroredTensor(settings.Device, ElementType.Float, Labels);
        _predictions = new MirroredTensor(settings.Device, ElementType.Int64, Labels);
        _session = new OrtSession(OnnxFile.ToBytes(graph), settings);
        _bound = Binding.Of(_session, inPlace, name => name switch
        {
            "input_ids" => _inputIds.OnDevice,
            "labels" => _labels.OnDevice,
            "attention_mask" => _attentionMask.OnDevice,
            "decoder_input_ids" => _decoderInputIds.OnDevice,
            "token_losses" => _tokenLosses.OnDevice,
            "predictions" => _predictions.OnDevice,
            _ => tensor(name),
        });
    }

    public TrainingShape Shape { get; }

    /// <summary>Tokens of one piece.</summary>
    public int Tokens => Shape.Batch * Shape.Time;

    /// <summary>Labels of one piece.</summary>
    public int Labels { get; }

    /// <summary>Whether the graph tells the likeliest labels.</summary>
    public bool Predicts { get; }

    /// <summary>The most sequences of a piece, at most <paramref name="limit"/>, such that pieces make up <paramref name="all"/> sequences.</summary>
    public static int Rows(int all, int limit) => Enumerable.Range(1, Math.Clamp(limit, 1, all)).Last(rows => all % rows == 0);

    /// <summary>Of the piece that was run last.</summary>
    public ReadOnlySpan<float> TokenLosses
    {
        get
        {
            _tokenLosses.Download();
            return _tokenLosses.Host.Span<float>();
        }
    }

    /// <summary>The likeliest labels of the piece that was run last.</summary>
    public ReadOnlySpan<long> Predictions
    {
        get
        {
            _predictions.Download();
            return _predictions.Host.Span<long>();
        }
    }

    public int Pieces(MicroBatch batch) => batch.InputIds.Length / Tokens;

    public void Run(MicroBatch batch, int piece)
    {
        Put(batch.InputIds, _inputIds, piece);
        Put(batch.Labels, _labels, piece);
        if (_masks) Put(batch.AttentionMask, _attentionMask, piece);
        if (_decodes) Put(batch.DecoderInputIds, _decoderInputIds, piece);
        _bound.Run();
    }

    public void Dispose()
    {
        foreach (IDisposable owned in (IDisposable[])[_bound, _session, _inputIds, _labels, _attentionMask, _decoderInputIds, _tokenLosses, _predictions]) owned.Dispose();
    }

    private static void Put(long[] values, MirroredTensor tensor, int piece)
    {
        var part = tensor.Host.Span<long>();
        values.AsSpan(piece * part.Length, part.Length).CopyTo(part);
        tensor.Upload();
    }
}
