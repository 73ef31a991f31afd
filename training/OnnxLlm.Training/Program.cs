using System.CommandLine;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Commands;

var root = new RootCommand("Trains language models on ONNX Runtime.") { TrainCommand.Create(), ResumeCommand.Create(), ShowCommand.Create() };
try
{
    var parsed = root.Parse(args);
    var code = parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    return parsed.Errors.Count > 0 ? ExitCodes.Mistake : code;
}
catch (Exception e) when (e is TrainingException or GraphException or ModelRuntimeException or TextException)
{
    Console.Error.WriteLine(e.Message);
    return ExitCodes.Mistake;
}
