using System.CommandLine;
using System.CommandLine.Invocation;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Training;
using OnnxLlm.Training.Commands;

var parsed = new RootCommand("Trains language models on ONNX Runtime.") { TrainCommand.Create(), ResumeCommand.Create(), ShowCommand.Create(), ReportCommand.Create() }.Parse(args);
try
{
    return parsed.Action is ParseErrorAction
        ? throw new TrainingException($"{parsed.Errors[0].Message.TrimEnd('.')}; add --help to see what there is")
        // The runner has signal handlers of its own: an interrupted step is finished and saved, however long that takes.
        : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
}
catch (Exception e) when (e is TrainingException or GraphException or ModelRuntimeException or TextException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"error: {e.Message}");
    return ExitCodes.Mistake;
}
