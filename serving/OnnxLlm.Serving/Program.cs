using OnnxLlm.Serving;

var (options, exitCode) = CommandLine.Parse(args);
if (options is null) return exitCode;

try
{
    var (model, runner) = ModelLoader.Load(options);
    await using var app = ServerHost.Build(options, model, runner);
    await ServerRun.RunAsync(app);
    return 0;
}
catch (ServingException mistake)
{
    Console.Error.WriteLine(mistake.Message);
    return 2;
}
