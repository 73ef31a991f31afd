using System.Globalization;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Data;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Samples;
using OnnxLlm.Training.Stability;

namespace OnnxLlm.Training;

/// <summary>How training ended.</summary>
internal enum Outcome
{
    Finished,

    /// <summary>Asked to stop; a checkpoint is written and a resume goes on from it.</summary>
    Interrupted,

    /// <summary>Too many steps in a row had to be skipped.</summary>
    Diverged,
}

/// <summary>What a trainer works with. Owned by whoever made it.</summary>
/// <param name="Validation">Null where there is nothing to validate on.</param>
internal sealed record TrainerParts(
    ITrainingEngine Engine,
    TokenDataset Data,
    ValidationSet? Validation,
    CheckpointStore Checkpoints,
    MetricsLog Metrics,
    IProgressView View,
    TimeProvider Clock)
{
    public HealthRules Health { get; init; } = new();

    /// <summary>Null where no samples are asked for.</summary>
    public TextSampler? Sampler { get; init; }

    /// <summary>Null without a GPU, or where its driver tells nothing.</summary>
    public Func<GpuUse>? Gpu { get; init; }

    /// <summary>Arithmetic of the model per trained token; 0 where it was not counted.</summary>
    public double FlopsPerToken { get; init; }
}

/// <summary>
/// The training loop: batch, gradients, update, and now and then a validation and a checkpoint. What it knows between steps is
/// <see cref="TrainingState"/> and the engine's tensors, both of which a checkpoint holds; so continuing equals never having stopped.
/// </summary>
internal sealed partial class Trainer
{
    private readonly RunConfig _config;
    private readonly TrainerParts _parts;
    private readonly Schedule _schedule;
    private readonly BatchPrefetcher _batches;
    private readonly Pace _pace;
    private readonly ProcessUse _use;
    private readonly EnergyMeter _energy;
    private TrainingState _state;
    private long? _saved;

    /// <summary>A trainer that goes on from <paramref name="state"/>, whose tensors the engine already holds.</summary>
    public Trainer(RunConfig config, TrainerParts parts, TrainingState state)
    {
        (_config, _parts) = (config, parts);
        _state = state with { PlannedSteps = state.PlannedSteps ?? Plan.Steps(config, parts.Data.Windows) };
        _schedule = new Schedule(config.Schedule, config.Optimizer.LearningRate, elastic: config.Minutes is not null);
        _batches = new BatchPrefetcher(parts.Data, Plan.End(config, parts.Data.Windows));
        _pace = new Pace(parts.Clock, TimeSpan.FromSeconds(state.ElapsedSeconds));
        _use = ProcessUse.OfThisProcess(parts.Clock, config.Threads);
        _energy = new EnergyMeter(state.EnergyJoules);
        if (parts.Gpu?.Invoke() is { } gpu) _energy.Look(_pace.Elapsed, gpu.Watts, gpu.Joules);
        _saved = state.Step > 0 ? state.Step : null;
    }

    public TrainingState State => _state;

    private bool Finished => _state.Step >= _state.PlannedSteps;

    public Outcome Train(CancellationToken stop)
    {
        while (!Finished && !stop.IsCancellationRequested)
        {
            if (!TakeStep()) continue;
            if (_state.SkippedInRow >= _config.MaxSkippedSteps) return Outcome.Diverged;
            if (IsDue(_config.EvaluateEvery)) Validate(stop);
            if (IsDue(_config.Samples.Every)) Sample();
            PlanAhead();
            if (IsDue(_config.CheckpointEvery) && !Finished) Save();     // the last one comes after the last validation, and holds it
        }
        if (Finished && _state.ValidationLoss is null) Validate(stop);
        Save();
        return Finished ? Outcome.Finished : Outcome.Interrupted;
    }

    /// <summary>One optimizer step. Where the loss or the gradient is not finite, weights and moments stay as they are. False where it led back to a checkpoint.</summary>
    private bool TakeStep()
    {
        _pace.StepBegins();
        var batch = _batches.Take(_state.Position, _config.GlobalBatch);
        _pace.DataArrives();
        var learningRate = _schedule.LearningRate(_state.Step, _state.PlannedSteps) * _state.LearningRateShare;
        Prepare();
        var loss = AccumulateWithin(batch);
        var spike = LossSpike.Of(loss, _state.RecentLosses, _config.Stability.SpikeSigma);
        if (spike is not null && RollBack(spike, batch)) return false;
        var usable = double.IsFinite(loss) && !IsLeftOut(spike);
        var norm = usable ? _parts.Engine.Update(learningRate, _state.Updates + 1) : double.NaN;
        var (updated, overflow) = (double.IsFinite(norm), usable && _parts.Engine.Scaler is { Overflowed: true });
        _state = updated ? _state.Updated(loss, _config.GlobalBatch, batch.Tokens) : _state.WithSkip(_config.GlobalBatch, batch.Tokens, inRow: !overflow);
        _pace.StepEnds();

        Report(loss, norm, learningRate, batch.Tokens, spike);
        if (spike is not null) Answer(spike, batch, updated);
        else if (overflow) Tell("overflow", $"the gradients overflowed float16; nothing was updated, the loss scale is now {_parts.Engine.Scaler!.Scale:R}");
        else if (!updated) Tell("skipped", $"the {(double.IsFinite(loss) ? "gradient" : "loss")} of {Name(batch)} is not finite; nothing was updated");
        if (IsDue(_config.Stability.StatisticsEvery)) _parts.Metrics.Append(new LayerReport(_state.Step, _parts.Engine.Layers(batch.MicroBatches[0])));
        return true;
    }

    /// <summary>Sums the gradients of the global batch; returns its mean loss per valid token, not a number where it has none.</summary>
    private double Accumulate(GlobalBatch batch)
    {
        var (loss, scale) = (0.0, 1f / batch.ValidTokens);
        foreach (var (i, micro) in batch.MicroBatches.Where(micro => micro.ValidTokens > 0).Index())
            loss += _parts.Engine.Accumulate(micro, reset: i == 0, scale);
        return batch.ValidTokens > 0 ? loss : double.NaN;
    }

    /// <summary>Measures the fixed validation set; a stop request abandons the measurement.</summary>
    private void Validate(CancellationToken stop)
    {
        if (_parts.Validation is not { } set) return;
        var (begun, losses, answers) = (_parts.Clock.GetTimestamp(), new LossStatistics(), new AnswerStatistics());
        foreach (var batch in set.MicroBatches())
        {
            if (stop.IsCancellationRequested) return;
            losses.Add(EvaluateWithin(batch), batch.Labels);
            answers.Add(_parts.Engine.Predictions, batch.Labels);
        }
        _state = _state.Validated(Finite.OrNull(losses.Mean), _config.Stability.MinDelta, answers.Accuracy);
        var result = new ValidationMetrics(_state.Step, _state.ValidationLoss, Finite.OrNull(losses.StandardError), losses.Tokens)
        {
            ValidationAccuracy = answers.Accuracy,
            MajorityAccuracy = answers.Majority,
            Seconds = _parts.Clock.GetElapsedTime(begun).TotalSeconds,
        };
        _parts.Metrics.Append(result);
        _parts.View.Validated(result);
        if (_config.Stability.Patience is > 0 and var patience && _state.ValidationsWithoutGain >= patience) StopEarly(patience);
    }

    /// <summary>Under a time budget, decides how many steps there will be.</summary>
    private void PlanAhead()
    {
        if (_config.Minutes is not { } minutes || Finished) return;
        var (budget, plan) = (TimeSpan.FromMinutes(minutes), _state.PlannedSteps);
        if (_pace.Elapsed >= budget) plan = _state.Step;
        else if (Plan.IsDue(_pace, budget) && (plan is null || _state.ValidationLoss is not null))
            plan = Plan.Within(budget, _pace.Elapsed, _state.Step, _pace.PerStep!.Value, plan);
        if (plan == _state.PlannedSteps) return;
        _state = _state with { PlannedSteps = plan };
        Tell("planned", string.Create(CultureInfo.InvariantCulture, $"{plan} steps fit into {minutes:0.##} minutes"));
    }

    private void Save()
    {
        if (_saved == _state.Step) return;
        var bits = NextLossBits();
        _state = _state with { ElapsedSeconds = _pace.Elapsed.TotalSeconds, EnergyJoules = _energy.Joules, NextLossBits = bits };
        _parts.Checkpoints.Save(_state, WriteModel);
        _saved = _state.Step;
        Tell("checkpoint", "checkpoint saved");
    }

    /// <summary>Beside the tensors lies the model's config, so that a checkpoint opens as a model of Hugging Face's.</summary>
    private void WriteModel(string folder)
    {
        _parts.Engine.Save(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), _config.Model.ToJson().ToJsonString(StrictJson.Options));
    }

    /// <summary>
    /// The bits of the loss that the next micro-batch has with the present weights. A resume computes it again: equal bits show that weights,
    /// data position, data, graph and runtime are what they were.
    /// </summary>
    public string NextLossBits()
    {
        var next = _parts.Data.MicroBatch(_state.Position);
        Prepare();
        var loss = (float)AccumulateWithin(new GlobalBatch(_state.Position, [next]));
        return BitConverter.SingleToUInt32Bits(loss).ToString("X8", CultureInfo.InvariantCulture);
    }

    private bool IsDue(int every) => every > 0 && _state.Step % every == 0;

    private void Report(double loss, double norm, double learningRate, long tokens, LossSpike? spike)
    {
        var metrics = new StepMetrics
        {
            Step = _state.Step,
            Loss = Finite.OrNull(loss),
            LearningRate = learningRate,
            GradientNorm = Finite.OrNull(norm),
            Spike = spike?.Sigmas,
            Tokens = _state.Tokens,
            TokensPerSecond = tokens / _pace.StepTime.TotalSeconds,
            ModelGflops = _parts.FlopsPerToken > 0 ? Gflops(tokens) : null,
            Mfu = _parts.FlopsPerToken > 0 ? Gflops(tokens) / _config.Tracking.PeakGflops : null,
            DataWait = _pace.DataWait,
            ElapsedSeconds = _pace.Elapsed.TotalSeconds,
            Skipped = _state.Skipped,
            LossScale = _parts.Engine.Scaler?.Scale,
        };
        if (IsDue(_config.LogEvery) || Finished || _state.SkippedInRow > 0) Log(WithUse(metrics));
        var remaining = (_state.PlannedSteps - _state.Step) * _pace.PerStep;
        _parts.View.Step(new StepReport(metrics, _state.SmoothedLoss, _state.PlannedSteps, _pace.Elapsed, remaining));
    }

    /// <summary>With what the process takes of the machine. The processor of a GPU's host mostly waits, so its share says nothing.</summary>
    private StepMetrics WithUse(StepMetrics metrics)
    {
        metrics = metrics with { CpuShare = _config.Place.IsCuda ? null : _use.Look(), ResidentMb = ProcessUse.ResidentMb };
        if (_parts.Gpu?.Invoke() is not { } gpu) return metrics;
        _energy.Look(_pace.Elapsed, gpu.Watts, gpu.Joules);
        return metrics with
        {
            GpuUtilization = gpu.Utilization,
            GpuMemoryMb = gpu.MemoryBytes / 1e6,
            GpuWatts = gpu.Watts,
            EnergyKwh = _energy.Kwh,
            Co2Grams = _energy.Kwh * _config.Tracking.Co2GramsPerKwh,
        };
    }

    private void Tell(string kind, string message)
    {
        _parts.Metrics.Append(new RunEvent(_state.Step, kind, message));
        _parts.View.Note($"step {_state.Step}: {message}");
    }
}
