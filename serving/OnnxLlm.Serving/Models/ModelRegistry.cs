using OnnxLlm.Runtime;
using OnnxLlm.Serving.Caching;
using OnnxLlm.Serving.Engine;
using OnnxLlm.Serving.Safety;

namespace OnnxLlm.Serving.Models;

/// <summary>
/// All models of the server, by name. A model is loaded beside the one that it replaces and asked for a token before it takes over, so a folder that is
/// damaged, or half written, changes nothing.
/// </summary>
internal sealed class ModelRegistry : IDisposable
{
    private readonly ServerOptions _options;
    private readonly Guardrails _guardrails;
    private readonly SharedCache? _shared;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _loading = new(1);

    public ModelRegistry(IReadOnlyList<ModelSource> sources, ServerOptions options, Guardrails guardrails, TimeProvider time, ILoggerFactory loggers, SharedCache? shared = null)
    {
        (_options, _guardrails, _shared, _time, _loggers, _logger) = (options, guardrails, shared, time, loggers, loggers.CreateLogger<ModelRegistry>());
        Entries = [.. sources.Select(source => new ModelEntry(source))];
        if (Entries.GroupBy(entry => entry.Id).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ServingException($"Two models are called '{twice.Key}'; name them with --model <name>=<folder>.");
    }

    public IReadOnlyList<ModelEntry> Entries { get; }

    /// <summary>The first, to which what concerns the server as a whole is counted.</summary>
    public ModelEntry Default => Entries[0];

    /// <summary>Every model; all of them must load.</summary>
    /// <exception cref="ServingException">One of them does not.</exception>
    public void LoadAll()
    {
        foreach (var entry in Entries)
        {
            entry.Stamp = entry.Source.Stamp();
            entry.Replace(Load(entry));
        }
    }

    public ModelEntry? Find(string name) => Entries.FirstOrDefault(entry => entry.IsCalled(name));

    /// <summary>Loads an entry anew and lets it take over, or leaves everything as it is.</summary>
    /// <returns>Why not, or null.</returns>
    public async Task<string?> ReloadAsync(ModelEntry entry, CancellationToken cancellation)
    {
        await _loading.WaitAsync(cancellation).ConfigureAwait(false);
        var before = entry.Stamp;
        try
        {
            (entry.Stamp, entry.IsLoading) = (entry.Source.Stamp(), true);
            return entry.Reason = await ReplaceAsync(entry, cancellation).ConfigureAwait(false) ?? "";
        }
        catch (OperationCanceledException)
        {
            entry.Stamp = before;                               // nothing is known of the folder, so whoever watches it tries again
            throw;
        }
        finally
        {
            entry.IsLoading = false;
            _loading.Release();
        }
    }

    /// <summary>Takes a model out of service; its running requests end well.</summary>
    public void Unload(ModelEntry entry)
    {
        entry.Replace(null);
        _logger.LogInformation("{Model} is unloaded.", entry.Id);
    }

    public void Dispose()
    {
        foreach (var entry in Entries) entry.Replace(null);
        _loading.Dispose();
    }

    private async Task<string?> ReplaceAsync(ModelEntry entry, CancellationToken cancellation)
    {
        LoadedModel? model = null;
        try
        {
            model = await Task.Run(() => Load(entry), cancellation).ConfigureAwait(false);
            if (!await model.IsReadyAsync(cancellation).ConfigureAwait(false))
                throw new ServingException($"The model failed its first forward pass: {model.Health.LastFault?.Message ?? "it gave no answer."}");
        }
        catch (Exception mistake)
        {
            model?.Leave();
            if (mistake is OperationCanceledException) throw;
            return Failed(entry, mistake);
        }

        entry.Replace(model);
        _logger.LogInformation("{Model} is loaded anew: {Fingerprint}.", entry.Id, model.Description.Fingerprint);
        return null;
    }

    /// <summary>Whatever it was: the server goes on, and its log has more of what nobody expected.</summary>
    private string Failed(ModelEntry entry, Exception mistake)
    {
        _logger.LogError(mistake is ServingException ? null : mistake, "{Model} cannot be loaded, what was served before goes on: {Reason}", entry.Id, mistake.Message);
        return mistake.Message;
    }

    private LoadedModel Load(ModelEntry entry)
    {
        var (description, runner) = entry.Source.Load();
        description = description with { Prompts = new PromptTokens(description.Tokenizer, entry.Metrics) };
        if (description.QuantizationSpeedup < 1)
            _logger.LogWarning("{Model} was measured to answer {Speedup:F2} times as fast quantized as unquantized on {Provider}: the float model is faster here, and on a GPU its weights are used as floats.", entry.Id, description.QuantizationSpeedup, description.Provider);
        if (description is { Card: { } card, Quantization: not null, QuantizationSpeedup: null })
            _logger.LogWarning("{Model} is quantized and was never measured on {Card}, where floats may be faster: 'tools speed --model <folder> --device cuda' measures it and lets the server choose.", entry.Id, card);
        return runner switch
        {
            EncoderDecoderSession session => EncoderDecoder(description, session, entry),
            EncoderSession session => Encoder(description, session, entry),
            _ => Decoder(description, (IModelRunner)runner, entry),
        };
    }

    private DecoderModel Decoder(ServedModel description, IModelRunner runner, ModelEntry entry)
    {
        var engine = new InferenceEngine(runner, _options.Engine with { Vocabulary = description.VocabularySize }, entry.Metrics, _time, _loggers.CreateLogger<InferenceEngine>());
        return new DecoderModel(description, engine, new ResponseCache(_options.CacheBytes, $"{description.Fingerprint} {_guardrails.Fingerprint}", entry.Metrics, _shared), _guardrails, entry.Metrics, _time);
    }

    private EncoderModel Encoder(ServedModel description, EncoderSession session, ModelEntry entry)
    {
        var settings = new EncoderSettings { QueueLimit = _options.Engine.QueueLimit, Rows = _options.Slots, Scores = description.Scores };
        return new EncoderModel(description, new EncoderEngine(session, settings, entry.Metrics, _time, _loggers.CreateLogger<EncoderEngine>()), _guardrails, entry.Metrics);
    }

    private EncoderDecoderModel EncoderDecoder(ServedModel description, EncoderDecoderSession session, ModelEntry entry)
    {
        var settings = _options.Engine with { Vocabulary = description.VocabularySize };
        return new EncoderDecoderModel(description, new EncoderDecoderEngine(session, _options.Slots, settings, entry.Metrics, _time, _loggers.CreateLogger<EncoderDecoderEngine>()), _guardrails, entry.Metrics, _time);
    }
}
