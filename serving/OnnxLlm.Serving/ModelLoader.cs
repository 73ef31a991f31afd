using System.Security.Cryptography;
using System.Text;
using OnnxLlm.Runtime;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Text;

namespace OnnxLlm.Serving;

/// <summary>Opens a model package for serving.</summary>
internal static class ModelLoader
{
    private const string Provider = "CPUExecutionProvider";

    /// <exception cref="ServingException">The folder is not a model package, or not one that can be served like this.</exception>
    public static (ServedModel Model, IModelRunner Runner) Load(ServerOptions options)
    {
        try
        {
            var package = ModelPackage.Open(options.Model);
            var model = Describe(package, Tokenizer.Load(package.Folder), options);
            return (model, new OnnxModelRunner(new GenerationSession(package, options.Slots, model.Context, Settings(options))));
        }
        catch (Exception mistake) when (mistake is ModelRuntimeException or TextException)
        {
            throw new ServingException(mistake.Message, mistake);
        }
    }

    /// <summary>Workers spin within a step only: between steps, on few cores, they would take the time in which requests are read and answers are written.</summary>
    private static SessionSettings Settings(ServerOptions options) => new() { Threads = options.Threads, SpinningBetweenRuns = false };

    private static ServedModel Describe(ModelPackage package, Tokenizer tokenizer, ServerOptions options)
    {
        var config = package.Config;
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new ServingException($"{package.Folder}: the tokenizer has {tokenizer.VocabularySize} tokens, the model only {config.VocabularySize}.");
        var template = ChatTemplates.Find(options.ChatTemplate, tokenizer);
        return new ServedModel
        {
            Id = options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(package.Folder)),
            Aliases = options.Aliases,
            Created = File.GetLastWriteTimeUtc(package.ModelPath),
            Tokenizer = tokenizer,
            Template = template,
            Context = options.MaxLength ?? config.MaxPositions,
            EosToken = config.EosTokenId ?? tokenizer.Special.Eos,
            Fingerprint = Fingerprint(package.ModelHash, tokenizer.Hash, template?.Name ?? "", OrtSession.RuntimeVersion, Provider),
            Precision = package.Precision,
            Provider = Provider,
            RuntimeVersion = OrtSession.RuntimeVersion,
        };
    }

    private static string Fingerprint(params string[] parts)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts)));
        return $"fp_{Convert.ToHexStringLower(hash)[..12]}";
    }
}
