using System.CommandLine;
using OnnxLlm.Benchmarks;
using OnnxLlm.Benchmarks.Arrivals;
using OnnxLlm.Benchmarks.Cache;
using OnnxLlm.Benchmarks.Clients;
using OnnxLlm.Benchmarks.Data;
using OnnxLlm.Benchmarks.Decode;
using OnnxLlm.Benchmarks.Kernels;
using OnnxLlm.Benchmarks.Load;
using OnnxLlm.Benchmarks.Memory;
using OnnxLlm.Benchmarks.Optimizers;
using OnnxLlm.Benchmarks.Peers;
using OnnxLlm.Benchmarks.Precision;
using OnnxLlm.Benchmarks.Scaling;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Benchmarks.Soak;
using OnnxLlm.Benchmarks.Speculation;
using OnnxLlm.Benchmarks.Train;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Text;
using OnnxLlm.Tools;

// Reproducible comparisons with peers. One command per suite; a suite starts its workers as processes of this same program.
var root = new RootCommand("Measures OnnxLlm against its peers and writes docs/benchmarks.md.")
{
    AllCommand.Create(),
    ArrivalsCommand.Create(),
    CacheCommand.Create(),
    ClientsCommand.Create(),
    ClientsCommand.CreateWorker(),
    DataCommand.Create(),
    DecodeCommand.Create(),
    DecodeCommand.CreateWorker(),
    KernelsCommand.Create(),
    LoadCommand.Create(),
    LoadCommand.CreateWorker(),
    MemoryCommand.Create(),
    OptimizersCommand.Create(),
    ParityCommand.Create(),
    PeersCommand.Create(),
    PeersCommand.CreateWorker(),
    PrecisionCommand.Create(),
    ScalingCommand.Create(),
    ServeCommand.Create(),
    SoakCommand.Create(),
    SpeculationCommand.Create(),
    TrainCommand.Create(),
    TrainCommand.CreateWorker(),
};
try
{
    ParseResult parsed = root.Parse(args);
    return parsed.Errors.Count > 0 ? parsed.Invoke() + 1 : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception error) when (error is BenchmarkException or GraphException or ModelRuntimeException or TextException or ToolException)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}
