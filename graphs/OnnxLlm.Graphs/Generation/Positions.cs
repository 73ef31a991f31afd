namespace OnnxLlm.Graphs.Generation;

/// <summary>
/// Where the new tokens of each row stand, worked out from the attention mask. A row with n ones in its mask and S new tokens has n − S in the past;
/// a row of a padded prefill has fewer than S ones and no past.
/// </summary>
internal sealed class Positions
{
    private readonly GraphBuilder _g;
    private readonly Value _ids, _past, _new;

    public Positions(GraphBuilder g, Value ids)
    {
        using var scope = g.Scope("positions");
        (_g, _ids) = (g, ids);
        var mask = g.Input(GenerationGraph.AttentionMask, ElementType.Int64, ["batch", "total"]);
        var count = g.ReduceSum(mask, keepDimensions: true, 1);    // [batch, 1]
        _past = Max0(count - g.ExtentOf(ids, 1));                  // [batch, 1]
        _new = count - _past;                                      // [batch, 1]
        KeyLengths = g.Cast(g.Reshape(count - g.Int64s(1), ["batch"]), ElementType.Int32);
        TotalLength = g.Cast(g.Reshape(g.ExtentOf(mask, 1), []), ElementType.Int32);
    }

    /// <summary>int32 [batch]: keys of a row, old and new, less one.</summary>
    public Value KeyLengths { get; }

    /// <summary>int32 []: keys of the longest row.</summary>
    public Value TotalLength { get; }

    /// <summary>[batch, n, 1]: places among a row's new tokens, of <paramref name="fromEnd"/> [n], where −1 is the last.</summary>
    public Value At(Value fromEnd) => _g.Unsqueeze(_new + fromEnd, 2);

    /// <summary>int64 [batch, sequence]: each new token's position in its sequence.</summary>
    public Value OfTokens()
    {
        using var scope = _g.Scope("positions");
        var length = _g.Reshape(_g.ExtentOf(_ids, 1), []);
        return _past + _g.Range(Scalar(0), length, Scalar(1), "sequence");
    }

    private Value Max0(Value x) => _g.Emit("Max", [x, _g.Int64s(0)], x.Type, x.Shape);

    private Value Scalar(long value) => _g.Constant(TensorData.Scalar(value, ElementType.Int64));
}
