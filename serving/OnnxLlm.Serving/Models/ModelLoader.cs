using System.Security.Cryptography;
using System.Text;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;
using OnnxLlm.Runtime.Kernels;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Text;

namespace OnnxLlm.Serving.Models;

/// <summary>Opens a model package for serving.</summary>
internal static class ModelLoader
{
    /// <summary>The models that the operator named, each with its own name where there are several.</summary>
    public static IReadOnlyList<ModelSource> Sources(ServerOptions options) => [.. options.Models.Select(named => Source(options, named))];

    /// <exception cref="ServingException">The folder is not a model package, or not one that can be served like this.</exception>
    public static (ServedModel Model, IDisposable Runner) Load(ServerOptions options)
    {
        try
        {
            var device = Device.Parse(options.Device);
            device.Require();
            var before = Contents(options.Model);
            var package = ModelPackage.Open(options.Model);
            var model = Describe(package, Tokenizer.Load(package.Folder), options);
            IDisposable runner = package.Config.IsEncoderDecoder ? new EncoderDecoderSession(package, Settings(options))
                : package.Config.IsEncoder ? new EncoderSession(package, Settings(options))
                : Decoder(package, model, options);
            if (Contents(options.Model) == before) return (model, runner);
            runner.Dispose();
            throw new ServingException($"{options.Model} was changed while it was loaded.");
        }
        catch (Exception mistake) when (mistake is ModelRuntimeException or TextException or IOException or UnauthorizedAccessException)
        {
            throw new ServingException(mistake.Message, mistake);
        }
    }

    private static OnnxModelRunner Decoder(ModelPackage package, ServedModel model, ServerOptions options)
    {
        var runner = new OnnxModelRunner(new GenerationSession(package, options.Slots, model.Context, Settings(options), options.KeyValueBytes));
        Pass(runner);
        return runner;
    }

    /// <summary>Several tokens, then one: each takes other kernels, which are compiled when they are first used.</summary>
    private static void Pass(OnnxModelRunner runner)
    {
        const int LongPrompt = 48;
        var length = Math.Min(LongPrompt, runner.MaxLength - 1);
        if (length < 1) return;
        runner.Prefill(0, new int[length], 0);
        runner.Decode([0], [length]);
    }

    /// <param name="named">A folder, or a name, an equals sign and a folder.</param>
    private static ModelSource Source(ServerOptions options, string named)
    {
        var separator = Directory.Exists(named) ? -1 : named.IndexOf('=', StringComparison.Ordinal);
        var own = options with { Model = named[(separator + 1)..] };
        if (separator > 0) own = own with { Name = named[..separator] };
        else if (options.Models.Length > 1) own = own with { Name = null };
        if (options.Models.Length > 1) own = own with { Aliases = [] };
        return new ModelSource(NameOf(own), () => Load(own), () => Stamp(own.Model));
    }

    /// <summary>The manifest is written last.</summary>
    private static string Stamp(string folder)
    {
        var manifest = new FileInfo(Path.Combine(folder, "manifest.json"));
        return manifest.Exists ? FormattableString.Invariant($"{manifest.LastWriteTimeUtc.Ticks} {manifest.Length}") : "";
    }

    /// <summary>Hashes are checked before the runtime reads the files; what is changed in between shows here.</summary>
    private static string Contents(string folder) => !Directory.Exists(folder) ? "" : string.Join(
        '\n', new DirectoryInfo(folder).EnumerateFiles().OrderBy(file => file.Name, StringComparer.Ordinal).Select(file => $"{file.Name} {file.Length} {file.LastWriteTimeUtc.Ticks}"));

    private static string NameOf(ServerOptions options) => options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(options.Model)));

    /// <summary>Workers spin within a step only: between steps, on few cores, they would take the time in which requests are read and answers are written.</summary>
    private static SessionSettings Settings(ServerOptions options)
    {
        var device = Device.Parse(options.Device);
        if (options.Dtype is not null && !device.IsCuda) throw new ServingException($"--dtype {options.Dtype} is for --device cuda; on the CPU activations and cache are float32.");
        return new() { Device = device, Threads = options.Threads, SpinningBetweenRuns = false, ActivationType = options.Dtype == "bfloat16" ? ElementType.BFloat16 : ElementType.Float16 };
    }

    private static ServedModel Describe(ModelPackage package, Tokenizer tokenizer, ServerOptions options)
    {
        var (config, device) = (package.Config, Device.Parse(options.Device));
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new ServingException($"{package.Folder}: the tokenizer has {tokenizer.VocabularySize} tokens, the model only {config.VocabularySize}.");
        if (config.EosTokenId >= tokenizer.VocabularySize)
            throw new ServingException($"{package.Folder}: eos_token_id of config.json is {config.EosTokenId}, but the tokenizer has only {tokenizer.VocabularySize} tokens.");
        if (!config.IsDecoder) RequireLength(config.MaxPositions, options);
        if (config.IsEncoder) RequireTokens(package, tokenizer);
        var template = ChatTemplates.Find(options.ChatTemplate, tokenizer);
        return new ServedModel
        {
            Id = NameOf(options),
            Aliases = options.Aliases,
            Created = File.GetLastWriteTimeUtc(package.ModelPath),
            Tokenizer = tokenizer,
            Template = template,
            Context = options.MaxLength ?? config.MaxPositions,
            Task = TaskOf(config),
            Labels = config.Labels,
            EosToken = config.EosTokenId ?? tokenizer.Special.Eos,
            Fingerprint = Fingerprint(package.ModelHash, tokenizer.Hash, template?.Name ?? "", OrtSession.RuntimeVersion, KernelList.Version, device.Provider, Mode(package, options)),
            Precision = package.Precision,
            QuantizationSpeedup = package.QuantizationSpeedup(device),
            Provider = device.Provider,
            Card = device.Card,
            Parameters = package.ParameterCount,
            Quantization = package.Quantization,
            RuntimeVersion = OrtSession.RuntimeVersion,
        };
    }

    private static string TaskOf(ModelConfig config) =>
        config.IsEncoderDecoder ? ModelTask.Seq2Seq
        : config.IsClassifier ? ModelTask.Classification
        : config.IsEncoder ? ModelTask.FillMask
        : ModelTask.Generation;

    private static void RequireLength(int longest, ServerOptions options)
    {
        if (options.MaxLength < 1 || options.MaxLength > longest) throw new ServingException($"The length of a text must be 1 to {longest}, the model's limit; got {options.MaxLength}.");
    }

    private static void RequireTokens(ModelPackage package, Tokenizer tokenizer)
    {
        if (package.Config.IsClassifier && tokenizer.Special is { Bos: null, Eos: null }) throw new ServingException($"{package.Folder}: the tokenizer has no token that begins a text, at which a classifier gives its answer.");
        if (!package.Config.IsClassifier && tokenizer.Special.Mask is null) throw new ServingException($"{package.Folder}: the model finds hidden tokens, but the tokenizer has no mask token.");
    }

    private static string Mode(ModelPackage package, ServerOptions options) => $"{(package.RunsQuantized(Settings(options)) ? "quantized" : "float")} {options.Dtype}".TrimEnd();

    private static string Fingerprint(params string[] parts)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', parts)));
        return $"fp_{Convert.ToHexStringLower(hash)[..12]}";
    }
}
