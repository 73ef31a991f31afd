using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;

namespace OnnxLlm.Training;

/// <summary>
/// How the loop fits into memory: micro-batches are run in pieces that the stage asks for, and in smaller ones when memory does not suffice. The global
/// batch stays the same, and so does the result but for rounding.
/// </summary>
internal sealed partial class Trainer
{
    /// <summary>Gives the engine the shape of pieces that the next step has.</summary>
    private void Prepare()
    {
        if (_parts.Engine.Pieces is not { } now) return;
        int time = _config.TimeAt(_state.Step), tokens = _state.PieceTokens ?? _config.MicroBatch * _config.Time;
        var wanted = new TrainingShape(PieceSession.Rows(_config.Shape(time).Batch, tokens / time), time);
        if (now == wanted) return;
        _parts.Engine.Reshape(wanted);
        if (now.Time != time && _state.Step > 0) Tell("stage", $"sequences of {time} tokens from here on");
    }

    /// <summary>The mean loss per valid token of the global batch, whose gradients are summed; from the start again where memory did not suffice.</summary>
    private double AccumulateWithin(GlobalBatch batch)
    {
        while (true)
            try
            {
                return Accumulate(batch);
            }
            catch (ModelRuntimeException e) when (e.IsOutOfMemory && _parts.Engine.Pieces is not null)
            {
                Shrink(e);
            }
    }

    private ReadOnlySpan<float> EvaluateWithin(MicroBatch batch)
    {
        while (true)
            try
            {
                return _parts.Engine.Evaluate(batch);
            }
            catch (ModelRuntimeException e) when (e.IsOutOfMemory && _parts.Engine.Pieces is not null)
            {
                Shrink(e);
            }
    }

    /// <summary>Halves the pieces (an odd number of sequences becomes the next smaller one that divides it).</summary>
    private void Shrink(ModelRuntimeException cause)
    {
        if (_parts.Engine.Pieces is not { Batch: > 1 } now)
            throw new TrainingException(
                $"Memory does not suffice for a single sequence of {_config.TimeAt(_state.Step)} tokens. Set activation_checkpointing to block, take shorter sequences, or raise memory_limit_mb if it is set.", cause);
        var smaller = now with { Batch = PieceSession.Rows(now.Batch, now.Batch / 2) };
        _parts.Engine.Reshape(smaller);
        _state = _state with { PieceTokens = smaller.Batch * smaller.Time };
        Tell("out of memory", $"micro-batches are run as pieces of {smaller.Batch} × {smaller.Time} tokens instead of {now.Batch} × {now.Time} from here on; the global batch stays {_config.GlobalBatch} sequences");
    }
}
