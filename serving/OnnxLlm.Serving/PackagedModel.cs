using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Models;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving;

/// <summary>Model packages for programs that answer with them in their own process: the server's engine without its HTTP.</summary>
public static class PackagedModel
{
    /// <summary>Loads a package. The client may be used from any thread; what is asked at the same time is answered together. Disposing it ends the model.</summary>
    /// <param name="folder">As <c>quickstart</c>, <c>export</c> and <c>quantize</c> write it.</param>
    /// <param name="chatTemplate">plain or chatml; null to go by the model's own.</param>
    /// <param name="slots">Answers generated at the same time.</param>
    /// <param name="threads">Of the forward pass; 0 for all cores.</param>
    /// <exception cref="ServingException">The folder is no model package, or the model does not work.</exception>
    public static IChatClient OpenChat(string folder, string? chatTemplate = null, int slots = 8, int threads = 0)
    {
        var options = new ServerOptions { Model = folder, ChatTemplate = chatTemplate, Slots = slots, Threads = threads };
        var registry = new ModelRegistry(ModelLoader.Sources(options), options, Guardrails.Create([], null), TimeProvider.System, NullLoggerFactory.Instance);
        try
        {
            registry.LoadAll();
            using (var lease = registry.Default.Enter()) _ = lease?.Decoder;
            return new EngineChatClient(registry.Default, Entropy.System.NextSeed, registry);
        }
        catch
        {
            registry.Dispose();
            throw;
        }
    }
}
