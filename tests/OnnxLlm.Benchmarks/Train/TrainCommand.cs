using System.CommandLine;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Graphs.Training;

namespace OnnxLlm.Benchmarks.Train;

/// <summary>`train`, and the hidden `train-worker` that it starts for our side.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var size = new Option<string>("--size") { DefaultValueFactory = _ => "S", Description = "XS, S, M, L or X" };
        Option<int> steps = SuiteOptions.Number("--steps", 50, TrainSuite.WarmUp + 1, "steps of each run");
        var exact = new Option<bool>("--no-double") { Description = "leave out the peer's run in double precision: the losses are then held to those in single precision" };
        Option<int> profiled = SuiteOptions.Number("--profiled", 10, 0, "steps that are profiled");
        Option<int> rounds = SuiteOptions.Rounds();
        Option<int> threads = SuiteOptions.Threads();
        var python = new Option<string>("--python") { DefaultValueFactory = _ => "/usr/bin/python3", Description = "a Python that has PyTorch" };
        Option<string> report = SuiteOptions.Report();
        Option<bool> quick = SuiteOptions.NoReport();
        var command = new Command("train", "One training step of GPT-2 against PyTorch.") { size, steps, rounds, threads, python, exact, profiled, report, quick };
        command.SetAction(parsed => new TrainSuite(
            new TrainOptions(
                TrainSize.Named(parsed.GetValue(size)!), parsed.GetValue(steps), parsed.GetValue(rounds), parsed.GetValue(threads),
                parsed.GetValue(python)!, parsed.GetValue(quick) ? null : parsed.GetValue(report))
            {
                Double = !parsed.GetValue(exact),
                ProfiledSteps = parsed.GetValue(profiled),
            },
            TimeProvider.System, Console.Out).Run());
        return command;
    }

    public static Command CreateWorker()
    {
        var folder = new Argument<string>("folder");
        var steps = new Argument<int>("steps");
        var profile = new Option<string?>("--profile");
        var offload = new Option<bool>("--offload");
        var moments = new Option<Moments>("--moments");
        var command = new Command("train-worker") { folder, steps, profile, offload, moments };
        command.Hidden = true;
        command.SetAction(parsed => new TrainWorker(parsed.GetValue(folder)!, parsed.GetValue(profile), parsed.GetValue(offload), parsed.GetValue(moments), TimeProvider.System).Run(parsed.GetValue(steps)));
        return command;
    }
}
