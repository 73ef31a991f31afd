using System.Globalization;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Training;

/// <summary>How the loop answers losses that jump, validations that gain nothing, and rules of health that break; what it records besides.</summary>
internal sealed partial class Trainer
{
    private bool IsLeftOut(LossSpike? spike) => spike is not null && _config.Stability.OnSpike != SpikeAction.Warn;

    private static string Name(GlobalBatch batch) => $"the sequences from {batch.Position} (batch {batch.Hash()})";

    /// <summary>
    /// Answers a spike with the weights of the last regular checkpoint, and goes on with the data after the spike; false where that is not asked for or
    /// not possible. Nothing of it is saved: a resume from that checkpoint meets the same spike and does the same.
    /// </summary>
    private bool RollBack(LossSpike spike, GlobalBatch batch)
    {
        if (_config.Stability.OnSpike != SpikeAction.Rollback || _state.Rollbacks >= _config.Stability.MaxRollbacks) return false;
        if (_parts.Checkpoints.LatestRegular(_parts.View.Note) is not { } checkpoint) return false;
        var (step, position) = (_state.Step + 1, batch.Position + _config.GlobalBatch);
        _parts.Engine.Load(checkpoint.Path);
        _state = _state.BackTo(checkpoint.State, position);
        if (_config.Epochs is not null) _state = _state with { PlannedSteps = _state.PlannedSteps - (step - _state.Step) };     // so much data is left out
        Tell("rollback", $"in step {step}, {spike}; back at step {_state.Step}, without the sequences up to {position} (last batch {batch.Hash()})");
        return true;
    }

    /// <summary>Says what became of a step with a spike; where that is asked for, lowers the learning rates after it.</summary>
    private void Answer(LossSpike spike, GlobalBatch batch, bool updated)
    {
        var answer = updated ? "the update was made" : "nothing was updated";
        if (_config.Stability.OnSpike == SpikeAction.Lower)
        {
            _state = _state with { LearningRateShare = _state.LearningRateShare / 2 };
            answer += FormattableString.Invariant($", and learning rates are {_state.LearningRateShare:R} of the schedule's from here on");
        }
        Tell("spike", $"{spike}, on {Name(batch)}; {answer}");
    }

    /// <summary>The run ends here, as if it had been planned so.</summary>
    private void StopEarly(int patience)
    {
        if (Finished) return;
        _state = _state with { PlannedSteps = _state.Step };
        Tell("stopped early", string.Create(CultureInfo.InvariantCulture, $"no better validation loss than {_state.BestValidationLoss:0.0000} in {patience} validations"));
    }

    private double Gflops(long tokens) => _parts.FlopsPerToken * tokens / _pace.StepTime.TotalSeconds / 1e9;

    private void Sample()
    {
        foreach (var sample in _parts.Sampler?.Samples(_parts.Engine, _state.Step) ?? []) _parts.Metrics.Append(sample);
    }

    private void Log(StepMetrics metrics)
    {
        _parts.Metrics.Append(metrics);
        foreach (var alert in _parts.Health.Observe(metrics)) Tell("health", $"{alert.Rule}: {alert.Message}");
    }
}
