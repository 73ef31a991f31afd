using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving;

/// <summary>Opens a model package for serving.</summary>
internal static class ModelLoader
{
    /// <exception cref="ServingException">The folder is not a model package that can be served.</exception>
    public static (ServedModel Model, IModelRunner Runner) Load(ServerOptions options) =>
        throw new ServingException($"{options.Model}: serving of model packages is not built yet.");
}
