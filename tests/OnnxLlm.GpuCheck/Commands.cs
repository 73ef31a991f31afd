using System.CommandLine;
using System.Text.Json;
using OnnxLlm.GpuCheck.Lint;
using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck;

/// <summary>What is measured goes to the standard output as lines of JSON.</summary>
internal static class Commands
{
    private static readonly Option<string> DeviceOption = new("--device") { Description = "cpu, cuda or cuda:N", DefaultValueFactory = _ => "cuda" };
    private static readonly Option<bool> Tiny = new("--tiny") { Description = "Small sizes, to try the command anywhere" };
    private static readonly Option<int?> Steps = new("--steps") { Description = "Timed steps" };

    public static Command Lint()
    {
        var only = new Argument<string[]>("only") { Description = "Parts of the names of graphs", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("lint", "Runs every graph over the stub libraries and tells what happened") { only };
        command.SetAction(parsed => WriteAll(LintCases.All(parsed.GetValue(only) ?? [])));
        return command;
    }

    public static Command Crowd()
    {
        var command = new Command("crowd", "Over the stub libraries: records while another thread loads models, and tells whether that disturbed it");
        command.SetAction(_ => WriteAll([CrowdedRecording.Run()]));
        return command;
    }

    public static Command Starve()
    {
        var command = new Command("starve", "Over the stub libraries: records with too little memory, and tells what that leaves");
        command.SetAction(_ => WriteAll([FailedRecording.Run()]));
        return command;
    }

    public static Command Verify()
    {
        var command = new Command("verify", "Trains small models on the device and on the CPU and compares them; exit code 1 if one differs too much") { DeviceOption };
        command.SetAction(parsed => Verification.Run(DeviceOf(parsed), Console.Out) ? 0 : 1);
        return command;
    }

    public static Command Profile()
    {
        var command = new Command("profile", "Tells where the nodes of training and decoding ran; exit code 1 if not all on the device") { DeviceOption, Tiny };
        command.SetAction(parsed =>
        {
            var placements = Placement.Of(DeviceOf(parsed), WorkOf(parsed)).ToList();
            WriteAll(placements);
            return placements.All(p => p.IsWholly(DeviceOf(parsed))) ? 0 : 1;
        });
        return command;
    }

    public static Command Train()
    {
        var precision = new Option<Precision>("--precision") { Description = "fp32, fp16 or bf16", DefaultValueFactory = _ => Precision.Bf16 };
        var recompute = new Option<bool>("--recompute") { Description = "Activations are computed again for the backward pass" };
        var single = new Option<bool>("--single") { Description = "One step that is not captured, between the marks of a profiler; nothing is timed" };
        var command = new Command("train", "Times training steps of GPT-2 124M") { DeviceOption, Steps, precision, recompute, single, Tiny };
        command.SetAction(parsed =>
        {
            var work = WorkOf(parsed);
            var speed = new TrainingSpeed(DeviceOf(parsed), parsed.GetValue(precision), work)
            { Checkpointing = parsed.GetValue(recompute) ? ActivationCheckpointing.Block : ActivationCheckpointing.None };
            if (parsed.GetValue(single)) speed.RunOnce();
            else WriteAll([speed.Measure(parsed.GetValue(Steps) ?? work.Steps, TimeProvider.System)]);
        });
        return command;
    }

    public static Command Decode()
    {
        var layers = new Option<int>("--layers") { Description = "Layers of the model; 12 make GPT-2 124M", DefaultValueFactory = _ => 12 };
        var command = new Command("decode", "Times the bare decode loop of GPT-2 with float and INT8 weights") { DeviceOption, layers, Steps, Tiny };
        command.SetAction(parsed =>
        {
            var work = WorkOf(parsed);
            WriteAll(DecodeSpeed.Measure(
                DeviceOf(parsed), parsed.GetValue(Tiny) ? work.Model : work.Model with { Layers = parsed.GetValue(layers) }, parsed.GetValue(Steps) ?? work.Tokens, TimeProvider.System));
        });
        return command;
    }

    public static Command Serve()
    {
        var command = new Command("serve", "Answers of the server to sixteen clients at a time, beside the bare loop") { DeviceOption, Tiny };
        command.SetAction(parsed => WriteAll([ServeSpeed.Measure(DeviceOf(parsed), WorkOf(parsed), TimeProvider.System)]));
        return command;
    }

    public static Command Speed()
    {
        var command = new Command("speed", "Measures 8-bit weights against the same weights as floats, as 'tools speed' does") { DeviceOption, Tiny };
        command.SetAction(parsed => WriteAll(WeightSpeed.Measure(DeviceOf(parsed), WorkOf(parsed), TimeProvider.System)));
        return command;
    }

    public static Command Data()
    {
        var folder = new Argument<string>("folder");
        var command = new Command("data", "Writes shards of a made-up language for the runner") { folder };
        command.SetAction(parsed => MadeUpLanguage.Write(parsed.GetRequiredValue(folder)));
        return command;
    }

    public static Command Trim()
    {
        var file = new Argument<string>("file") { Description = "The CUDA provider's library; it is changed" };
        var capability = new Argument<int>("capability") { Description = "90 for compute capability 9.0" };
        var command = new Command("trim", "Empties the kernels of a library that are for other GPUs, so that it packs well") { file, capability };
        command.SetAction(parsed => Console.WriteLine(FatBinaries.Keep(parsed.GetRequiredValue(file), parsed.GetRequiredValue(capability))));
        return command;
    }

    public static Command Table()
    {
        var folder = new Argument<string>("folder") { Description = "What run.sh collected; what failed is said, what is missing is left out" };
        var peak = new Option<double>("--peak-tflops") { Description = "The card's dense 16-bit peak", DefaultValueFactory = _ => 989 };
        var bandwidth = new Option<double>("--peak-bandwidth") { Description = "The card's memory bandwidth in GB/s", DefaultValueFactory = _ => 4800 };
        var command = new Command("table", "Prints what was measured beside the goals") { folder, peak, bandwidth };
        command.SetAction(parsed => new ResultTable(parsed.GetRequiredValue(folder), parsed.GetValue(peak), parsed.GetValue(bandwidth)).Print(Console.Out));
        return command;
    }

    private static Device DeviceOf(ParseResult parsed) => Device.Parse(parsed.GetRequiredValue(DeviceOption));

    private static Workload WorkOf(ParseResult parsed) => parsed.GetValue(Tiny) ? Workload.Tiny : Workload.Whole;

    private static void WriteAll<T>(IEnumerable<T> results)
    {
        foreach (var result in results) Console.WriteLine(JsonSerializer.Serialize(result));
    }
}
