using System.CommandLine;
using System.Globalization;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Tools.Quantization;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>speed --model FOLDER [--device cuda]</c></summary>
internal static class SpeedCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of a quantized package; what is measured is written into its manifest.", Required = true };
        var device = new Option<string>("--device") { Description = "What computes: cpu, cuda, or cuda:N.", DefaultValueFactory = _ => "cuda" };
        var threads = new Option<int>("--threads") { Description = "Threads of the runtime; 0 is one per core." };
        var command = new Command("speed", "Measure a quantized model against its own weights as floats on a device. On a GPU the faster is then served.") { model, device, threads };
        command.SetAction(parsed =>
        {
            foreach (var speed in new DeviceSpeed(Device.Parse(parsed.GetRequiredValue(device)), parsed.GetValue(threads), TimeProvider.System).Record(parsed.GetRequiredValue(model)))
                parsed.InvocationConfiguration.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{speed.Card ?? speed.Provider}{(speed.Sequences > 1 ? $", {speed.Sequences} sequences" : "")}: prefill {speed.FloatPrefill:N0} -> {speed.QuantizedPrefill:N0}, decode {speed.FloatDecode:N0} -> {speed.QuantizedDecode:N0} tokens/s; {(speed.QuantizedDecode >= speed.FloatDecode ? "quantized weights" : "floats")} are faster"));
        });
        return command;
    }
}
