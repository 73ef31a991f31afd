using System.Collections.Immutable;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.EncoderDecoders;

namespace OnnxLlm.Runtime;

/// <summary>
/// A loaded encoder-decoder. Texts are read together, padded behind, and are rows from then on, for each of which one token after the other is written; rows come and go between
/// two steps. What a row gets does not depend on the others but for the last bits, as sums over more rows may be added in another order. Used by one thread.
/// </summary>
public sealed class EncoderDecoderSession : IDisposable
{
    private readonly OrtSession _encoder, _decoder;
    private readonly BoundSession _reads, _writes;
    private readonly (string Name, RowTensor Rows)[] _memory, _past;
    private readonly RowTensor _mask = new(ElementType.Int64, 1);
    private readonly GrowingTensor _logits;
    private readonly List<int> _lengths = [], _written = [];
    private readonly long _padding, _width;
    private readonly int _layers;
    private TensorBuffer _ids = TensorBuffer.Zeros(ElementType.Int64, 1, 1), _pasts = TensorBuffer.Zeros(ElementType.Int64, 1);
    private int _bound;

    /// <exception cref="ModelRuntimeException">The package holds another family, names no token that answers begin with, the device is no CPU, or the model gives no numbers.</exception>
    public EncoderDecoderSession(ModelPackage package, SessionSettings settings)
    {
        var config = package.Config;
        if (!config.IsEncoderDecoder) throw new ModelRuntimeException($"{package.Folder} holds {config.Kind} ({config.ModelType}), which writes no text for another.");
        if (settings.Device.IsCuda) throw new ModelRuntimeException($"{package.Folder}: {config.ModelType} models run on the CPU; their graphs were not written for a GPU.");
        (MaxLength, VocabularySize, _padding, _width, _layers) = (config.MaxPositions, config.VocabularySize, config.PadTokenId ?? 0, config.QueryWidth, config.DecoderLayers);
        StartToken = config.DecoderStartTokenId ?? config.PadTokenId ?? throw new ModelRuntimeException($"{package.Folder}: config.json has no decoder_start_token_id.");
        (_encoder, _decoder) = (new OrtSession(package.EncoderPath, settings), new OrtSession(package.ModelPath, settings));
        (_reads, _writes) = (_encoder.Bind(), _decoder.Bind());
        _memory = [.. Both(EncoderGraph.CrossKey, EncoderGraph.CrossValue)];
        _past = [.. Both(DecoderGraph.PastKey, DecoderGraph.PastValue)];
        _logits = new GrowingTensor(settings.Device, VocabularySize, long.MaxValue);
        try
        {
            Add([[0]]);
            if (Step([StartToken]).ContainsAnyExceptInRange(float.MinValue, float.MaxValue)) throw new ModelRuntimeException($"{package.Folder}: the model gives scores that are not finite.");
            Clear();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Tokens of a text that is read, at most, and of one that is written.</summary>
    public int MaxLength { get; }

    public int VocabularySize { get; }

    /// <summary>What every answer begins with, without being part of it.</summary>
    public int StartToken { get; }

    /// <summary>Texts that are being written.</summary>
    public int Rows => _written.Count;

    /// <summary>Reads texts, each of one token at least; they are the last rows from now on.</summary>
    public void Add(IReadOnlyList<ImmutableArray<int>> texts)
    {
        int first = Rows, time = texts.Max(text => text.Length);
        if (texts.FirstOrDefault(text => text.Length is 0 || text.Length > MaxLength) is { IsDefault: false } misfit)
            throw new ModelRuntimeException($"A text has 1 to {MaxLength} tokens, got {misfit.Length}.");
        using TensorBuffer ids = TensorBuffer.Zeros(ElementType.Int64, texts.Count, time), mask = TensorBuffer.Zeros(ElementType.Int64, texts.Count, time);
        ids.Span<long>().Fill(_padding);
        foreach (var (row, text) in texts.Index())
            for (int t = 0; t < text.Length; t++) (ids.Span<long>()[row * time + t], mask.Span<long>()[row * time + t]) = (text[t], 1);
        TensorBuffer[] memory = [.. _memory.Select(_ => TensorBuffer.Zeros(ElementType.Float, texts.Count, time, _width))];
        try
        {
            _reads.Input(EncoderGraph.InputIds, ids).Input(EncoderGraph.AttentionMask, mask);
            foreach (var (i, (name, _)) in _memory.Index()) _reads.Output(name, memory[i]);
            _reads.Run();
            Keep(first, texts, memory, mask);
        }
        finally
        {
            foreach (TensorBuffer buffer in memory) buffer.Dispose();
        }
    }

    /// <summary>Writes one token behind each row, the first time <see cref="StartToken"/>; returns [rows, V] scores of the next, valid until the next call.</summary>
    public ReadOnlySpan<float> Step(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty || tokens.Length != Rows) throw new ModelRuntimeException($"A step writes one token for each of {Rows} rows, got {tokens.Length}.");
        if (_written.Max() >= MaxLength) throw new ModelRuntimeException($"A row holds {MaxLength} tokens already, the model's limit.");
        if (tokens.ContainsAnyExceptInRange(0, VocabularySize - 1)) throw new ModelRuntimeException($"A token is outside the vocabulary of {VocabularySize}.");
        bool moved = _past.Aggregate(false, (moved, past) => past.Rows.Fit(Rows, Rows, _written.Max() + 1) | moved);
        TensorBuffer logits = _logits.For(Rows).Host;
        if (moved || _bound != Rows) Bind(logits);
        for (int row = 0; row < Rows; row++) (_ids.Span<long>()[row], _pasts.Span<long>()[row]) = (tokens[row], _written[row]++);
        _writes.Run();
        return logits.Span<float>()[..(Rows * VocabularySize)];
    }

    /// <summary>Ends a row; the last one takes its place.</summary>
    public void Remove(int row)
    {
        int last = Rows - 1;
        if (row != last)
        {
            foreach (var (_, rows) in _memory.Concat(_past)) rows.Move(last, row);
            _mask.Move(last, row);
            (_lengths[row], _written[row]) = (_lengths[last], _written[last]);
        }
        _lengths.RemoveAt(last);
        _written.RemoveAt(last);
        _bound = 0;
    }

    /// <summary>Ends all rows.</summary>
    public void Clear()
    {
        _lengths.Clear();
        _written.Clear();
        _bound = 0;
    }

    public void Dispose()
    {
        IEnumerable<IDisposable> owned = [_reads, _writes, _encoder, _decoder, _mask, _logits, _ids, _pasts, .. _memory.Concat(_past).Select(tensor => tensor.Rows)];
        foreach (IDisposable one in owned) one.Dispose();
    }

    private IEnumerable<(string, RowTensor)> Both(Func<int, string> key, Func<int, string> value) =>
        Enumerable.Range(0, _layers).SelectMany(layer => new[] { (key(layer), new RowTensor(ElementType.Float, _width)), (value(layer), new RowTensor(ElementType.Float, _width)) });

    /// <summary>What was read becomes the memory of new rows.</summary>
    private void Keep(int first, IReadOnlyList<ImmutableArray<int>> texts, TensorBuffer[] memory, TensorBuffer mask)
    {
        int rows = first + texts.Count, longest = _lengths.Concat(texts.Select(text => text.Length)).Max();
        _mask.Fit(first, rows, longest);
        foreach (var (_, past) in _past) past.Fit(first, rows, _written.Append(0).Max() + 1);
        for (int row = first; row < rows; row++)
            foreach (var (_, past) in _past) past.Clear(row);
        foreach (var (i, (_, kept)) in _memory.Index())
        {
            kept.Fit(first, rows, longest);
            foreach (var (row, text) in texts.Index())
            {
                kept.Clear(first + row);
                kept.Write(first + row, memory[i].Rows(row, 1).View(0, text.Length * _width));
            }
        }
        foreach (var (row, text) in texts.Index())
        {
            _mask.Clear(first + row);
            _mask.Write(first + row, mask.Rows(row, 1).View(0, text.Length));
            _lengths.Add(text.Length);
            _written.Add(0);
        }
        _bound = 0;
    }

    private void Bind(TensorBuffer logits)
    {
        if (_ids.Shape[0] < Rows)
        {
            _ids.Dispose();
            _pasts.Dispose();
            (_ids, _pasts) = (TensorBuffer.Zeros(ElementType.Int64, Rows, 1), TensorBuffer.Zeros(ElementType.Int64, Rows));
        }
        _writes.Input(DecoderGraph.InputIds, _ids.Rows(0, Rows)).Input(DecoderGraph.PastLength, _pasts.Rows(0, Rows)).Output(DecoderGraph.Logits, logits.View(0, Rows, VocabularySize));
        _writes.Input(DecoderGraph.EncoderAttentionMask, _mask.Rows(Rows).View(0, Rows, _mask.Length));
        foreach (var (name, rows) in _memory) _writes.Input(name, rows.Rows(Rows));
        foreach (var (i, (name, rows)) in _past.Index()) _writes.Input(name, rows.Rows(Rows)).Output(i % 2 == 0 ? DecoderGraph.PresentKey(i / 2) : DecoderGraph.PresentValue(i / 2), rows.Rows(Rows));
        _bound = Rows;
    }
}
