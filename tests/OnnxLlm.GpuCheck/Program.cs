using System.CommandLine;
using OnnxLlm.GpuCheck;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;

var root = new RootCommand("Checks the GPU side of OnnxLlm. tests/gpu/run.sh runs it on a machine with a GPU.")
{
    Commands.Lint(), Commands.Crowd(), Commands.Starve(), Commands.Verify(), Commands.Profile(), Commands.Train(), Commands.Decode(), Commands.Serve(), Commands.Speed(), Commands.Data(), Commands.Trim(), Commands.Table(),
};
try
{
    var parsed = root.Parse(args);
    return parsed.Errors.Count > 0 ? parsed.Invoke() + 1 : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception error) when (error is GraphException or ModelRuntimeException or OnnxLlm.Tools.ToolException or GpuCheckException)
{
    Console.Error.WriteLine($"error: {error.Message}");
    return 2;
}
