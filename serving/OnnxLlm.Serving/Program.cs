using OnnxLlm.Runtime;
using OnnxLlm.Serving;
using OnnxLlm.Serving.Models;

var (options, exitCode) = CommandLine.Parse(args);
if (options is null) return exitCode;

NativeHeap.KeepLargeBlocksApart();
try
{
    await using var app = ServerHost.Build(options, ModelLoader.Sources(options));
    await ServerRun.RunAsync(app);
    return 0;
}
catch (ServingException mistake)
{
    Console.Error.WriteLine(mistake.Message);
    return 2;
}
