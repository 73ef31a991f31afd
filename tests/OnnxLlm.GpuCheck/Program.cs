using System.CommandLine;
using System.Text.Json;
using OnnxLlm.GpuCheck.Lint;
using OnnxLlm.GpuCheck.Measuring;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

var root = new RootCommand("Checks the GPU side of OnnxLlm. tests/gpu/run.sh runs it on a machine with a GPU.") { LintCommand(), VerifyCommand(), TrainCommand(), DecodeCommand(), DataCommand(), TableCommand() };
try
{
    var parsed = root.Parse(args);
    return parsed.Errors.Count > 0 ? parsed.Invoke() + 1 : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception error) when (error is GraphException or ModelRuntimeException or OnnxLlm.Tools.ToolException)
{
    Console.Error.WriteLine($"error: {error.Message}");
    return 2;
}

// One line of JSON per graph.
static Command LintCommand()
{
    var only = new Argument<string[]>("only") { Description = "Parts of the names of graphs", Arity = ArgumentArity.ZeroOrMore };
    var command = new Command("lint", "Runs every graph over the stub libraries and tells what happened") { only };
    command.SetAction(parsed =>
    {
        foreach (var finding in LintCases.All(parsed.GetValue(only) ?? [])) Console.WriteLine(JsonSerializer.Serialize(finding));
    });
    return command;
}

static Command VerifyCommand()
{
    var device = DeviceOption();
    var command = new Command("verify", "Trains small models on the device and on the CPU and compares them; exit code 1 if one differs too much") { device };
    command.SetAction(parsed => Verification.Run(Device.Parse(parsed.GetRequiredValue(device)), Console.Out) ? 0 : 1);
    return command;
}

static Command TrainCommand()
{
    var device = DeviceOption();
    var batch = new Option<int>("--batch") { Description = "Sequences of 1024 tokens a step", DefaultValueFactory = _ => 32 };
    var steps = new Option<int>("--steps") { Description = "Timed steps", DefaultValueFactory = _ => 30 };
    var precision = new Option<string>("--precision") { Description = "fp32, fp16 or bf16", DefaultValueFactory = _ => "bf16" };
    var command = new Command("train", "Times training steps of GPT-2 124M; one line of JSON") { device, batch, steps, precision };
    command.SetAction(parsed => Console.WriteLine(JsonSerializer.Serialize(TrainingSpeed.Measure(
        Device.Parse(parsed.GetRequiredValue(device)), Enum.Parse<OnnxLlm.Graphs.Autodiff.Precision>(parsed.GetRequiredValue(precision), ignoreCase: true),
        parsed.GetValue(batch), parsed.GetValue(steps), TimeProvider.System))));
    return command;
}

static Command DecodeCommand()
{
    var device = DeviceOption();
    var layers = new Option<int>("--layers") { Description = "Layers of the model; 12 make GPT-2 124M", DefaultValueFactory = _ => 12 };
    var steps = new Option<int>("--steps") { Description = "Timed steps", DefaultValueFactory = _ => 200 };
    var command = new Command("decode", "Times the bare decode loop of GPT-2 with float16 and INT8 weights; one line of JSON each") { device, layers, steps };
    command.SetAction(parsed =>
    {
        foreach (var result in DecodeSpeed.Measure(Device.Parse(parsed.GetRequiredValue(device)), parsed.GetValue(layers), parsed.GetValue(steps), TimeProvider.System))
            Console.WriteLine(JsonSerializer.Serialize(result));
    });
    return command;
}

static Command DataCommand()
{
    var folder = new Argument<string>("folder");
    var command = new Command("data", "Writes shards of a made-up language for the runner") { folder };
    command.SetAction(parsed => MadeUpLanguage.Write(parsed.GetRequiredValue(folder)));
    return command;
}

static Command TableCommand()
{
    var folder = new Argument<string>("folder") { Description = "Where ours.json, torch-eager.json, torch-compiled.json and the runs are; what is missing is left out" };
    var peak = new Option<double>("--peak-tflops") { Description = "The card's dense 16-bit peak", DefaultValueFactory = _ => 989 };
    var command = new Command("table", "Prints what was measured beside the goals") { folder, peak };
    command.SetAction(parsed => ResultTable.Print(parsed.GetRequiredValue(folder), parsed.GetValue(peak), Console.Out));
    return command;
}

static Option<string> DeviceOption() => new("--device") { Description = "cpu, cuda or cuda:N", DefaultValueFactory = _ => "cuda" };
