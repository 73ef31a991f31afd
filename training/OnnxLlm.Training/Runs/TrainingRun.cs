using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Training.Checkpoints;
using OnnxLlm.Training.Configuration;
using OnnxLlm.Training.Engine;
using OnnxLlm.Training.Metrics;
using OnnxLlm.Training.Progress;
using OnnxLlm.Training.Samples;
using OnnxLlm.Training.Tracking;

namespace OnnxLlm.Training.Runs;

/// <summary>One process of a run: puts the parts together for a new or a resumed run, trains, and says how it ended.</summary>
internal sealed class TrainingRun(RunFolder folder, RunOptions options, IProgressView view, TimeProvider clock)
{
    /// <summary>Trains from fresh weights.</summary>
    public Outcome Start(RunConfig config, CancellationToken stop)
    {
        TrainingEngines.Require(config);
        using var data = RunData.Open(config);
        config = data.Config;
        TrainingEngines.RequireWeights(config);
        Check(config, data);
        using var held = folder.Lock();
        var graphs = GraphsOf(config);
        var record = Describe(config, data, graphs);
        TrainingEngines.WriteArtifacts(folder.Artifacts, config, graphs);
        folder.Write(record);
        return Train(record, data, graphs, checkpoint: null, stop);
    }

    /// <summary>What only the data can tell: the tokenizer of samples may be another, a budget of epochs may be shorter than the schedule.</summary>
    private static void Check(RunConfig config, RunData data)
    {
        TextSampler.Open(config, data.Record.Tokenizer);
        if (config.Stability.Patience > 0 && data.Validation is null) throw new TrainingException($"stability.patience: counts validations, but '{config.Data}' has nothing to validate on.");
        if (Plan.Steps(config, data.Training.Windows) is not { } steps || ConfigRules.LongerThan(steps, config).FirstOrDefault() is not { } problem) return;
        throw new TrainingException($"{problem} ({config.Epochs} epochs of {data.Training.Windows} sequences in batches of {config.GlobalBatch}).");
    }

    /// <summary>Goes on from the latest valid checkpoint, or from the beginning where none was written yet.</summary>
    public Outcome Resume(CancellationToken stop)
    {
        var record = folder.Read();
        TrainingEngines.Require(record.Config);
        TrainingManifest.Verify(folder.Artifacts);
        using var held = folder.Lock();
        using var data = RunData.Open(record.Config);
        if (data.Record != record.Data)
            throw new TrainingException($"The data in '{record.Config.Data}' is not what the run began with: it had {record.Data}, now it is {data.Record}.");
        var store = Store(record.Config);
        store.Clean();
        var latest = Latest(store, record);
        if (latest is null && record.Config.InitialWeights is { } from && StartingWeights.Hash(from) != record.InitialWeights)
            throw new TrainingException($"The weights in '{from}' are not those that the run began with, and it has no checkpoint yet.");
        if (latest?.State is { } state && state.Step >= state.PlannedSteps)
        {
            view.Note($"'{folder.Root}' is finished, at step {state.Step}.");
            return Outcome.Finished;
        }
        return Train(record, data, GraphsOf(record.Config), latest, stop);
    }

    private Outcome Train(RunRecord record, RunData data, TrainingGraphs graphs, Checkpoint? checkpoint, CancellationToken stop)
    {
        var config = record.Config;
        foreach (var line in PrecisionNote.Lines(config, graphs.Step).Concat(data.Notes)) view.Note(line);
        if (checkpoint is null && TrainingEngines.FreshNote(config) is { } fresh) view.Note(fresh);
        if (config.InitialWeights is { } weights && StartingWeights.DropoutNote(weights) is { } note) view.Note(note);
        using var engine = TrainingEngines.Open(config, graphs, folder.Artifacts, checkpoint?.Path, folder.OptimizerState);

        var state = checkpoint?.State ?? new TrainingState { ConfigHash = record.ConfigHash };
        using var trackers = Trackers.Open(folder, record, state.Step, clock, view.Note);
        using var metrics = MetricsLog.Open(folder.Metrics, state.Step, trackers);
        var parts = new TrainerParts(engine, data.Training, data.Validation, Store(config), metrics, view, clock)
        {
            Gpu = GpuMonitor.Open(config.Place) is { } gpu ? gpu.Read : null,
            Sampler = TextSampler.Open(config, record.Data.Tokenizer),
            FlopsPerToken = FlopCount.PerToken(graphs.Evaluation, (long)config.MicroBatch * config.Time * (config.Model.IsEncoderDecoder ? 2 : 1)),
        };
        foreach (var step in MetricsLog.Steps(folder.Metrics)) parts.Health.Observe(step);
        var trainer = new Trainer(config, parts, state);
        NativeHeap.ReturnGarbage();
        if (checkpoint is not null) Verify(trainer, record, metrics);

        var outcome = Outcome.Finished;
        view.Show(Summary(record), () => outcome = trainer.Train(stop));
        trackers.End(outcome);
        return outcome;
    }

    private void Verify(Trainer trainer, RunRecord record, MetricsLog metrics)
    {
        var check = new ResumeCheck(trainer.State.Step, trainer.State.NextLossBits, trainer.NextLossBits(), record.Config.Place.IsCuda);
        if (!check.Holds && !options.AllowInexact) throw new TrainingException(Difference(check.Text, record));
        metrics.Append(new RunEvent(trainer.State.Step, "resumed", check.Text));
        view.Note(check.Text);
    }

    private static string Difference(string text, RunRecord record)
    {
        var (then, now) = ((record.Versions, record.Machine), (Provenance.Versions(), Provenance.Machine()));
        var cause = then == now ? "Versions and machine are those of the record." : $"The run began on {then}, this is {now}.";
        return $"The resumed run would not equal an uninterrupted one: {text}. {cause} To go on all the same: --allow-inexact.";
    }

    private Checkpoint? Latest(CheckpointStore store, RunRecord record)
    {
        var refused = 0;
        var latest = store.Latest(warning =>
        {
            refused++;
            view.Note(warning);
        });
        if (latest is null && refused > 0) throw new TrainingException($"None of the {refused} checkpoints in '{folder.Checkpoints}' is whole.");
        if (latest is not null && latest.State.ConfigHash != record.ConfigHash)
            throw new TrainingException($"{latest.Path} belongs to another run: its config hash is {latest.State.ConfigHash}, the run's {record.ConfigHash}.");
        return latest;
    }

    private RunRecord Describe(RunConfig config, RunData data, TrainingGraphs graphs) => new()
    {
        Started = clock.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture),
        Command = options.Command,
        Code = Provenance.Code(),
        Versions = Provenance.Versions(),
        Machine = Provenance.Machine(),
        Data = data.Record,
        InitialWeights = config.InitialWeights is { } from ? StartingWeights.Hash(from) : null,
        Parameters = graphs.Parameters.Sum(p => p.Count),
        ConfigHash = RunFolder.HashOf(config),
        Config = config,
    };

    private StartReport Summary(RunRecord record)
    {
        var (config, model) = (record.Config, record.Config.Model);
        var architecture = $"{model.ModelType} {model.Layers} × {model.Width}";
        var budget = config.Minutes is { } minutes ? TimeSpan.FromMinutes(minutes) : (TimeSpan?)null;
        return new StartReport(folder.Root, architecture, record.Parameters, record.Data.TrainingTokens, (long)config.GlobalBatch * config.Time, budget, config.LogEvery);
    }

    private CheckpointStore Store(RunConfig config) => new(folder.Checkpoints, config.Keep) { Every = config.CheckpointEvery };

    internal static TrainingGraphs GraphsOf(RunConfig config) => TrainingGraphs.Create(config.Setup);
}
