using OnnxLlm.Serving;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Tests.Serving;

/// <summary>A package of a decoder, opened as the server does.</summary>
internal static class LoadedDecoder
{
    public static (ServedModel Model, IModelRunner Runner) Of(ServerOptions options)
    {
        var (model, runner) = ModelLoader.Load(options);
        return (model, (IModelRunner)runner);
    }
}
