using System.CommandLine;
using OnnxLlm.Benchmarks;
using OnnxLlm.Benchmarks.Train;

// Reproducible comparisons with peers. One command per suite; a suite starts its workers as processes of this same program.
var root = new RootCommand("Measures OnnxLlm against its peers and writes docs/benchmarks.md.")
{
    TrainCommand.Create(),
    TrainCommand.CreateWorker(),
};
try
{
    ParseResult parsed = root.Parse(args);
    return parsed.Errors.Count > 0 ? parsed.Invoke() + 1 : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (BenchmarkException error)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}
