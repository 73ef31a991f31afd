using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Graphs.Models;

/// <summary>Which published architecture a model follows; it decides the names and layouts of the parameters.</summary>
public enum ModelFamily
{
    Gpt2,
    Llama,
    Qwen2,

    /// <summary>An encoder: every token sees the whole sequence. Those above are decoders.</summary>
    Bert,

    /// <summary>An encoder that reads one text, and a decoder that writes another while it looks at what was read.</summary>
    T5,
}

/// <summary>
/// The shape of a language model, under one set of names for all families. On disk it is Hugging Face's <c>config.json</c>
/// with the names of the family, such as <c>n_embd</c> or <c>hidden_size</c> for <see cref="Width"/>.
/// </summary>
public sealed record ModelConfig
{
    public required ModelFamily Family { get; init; }

    /// <summary>V, rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>D, elements of the residual stream.</summary>
    public required int Width { get; init; }

    /// <summary>L, blocks of attention and feed-forward; of an encoder-decoder those of the encoder.</summary>
    public required int Layers { get; init; }

    /// <summary>Blocks of an encoder-decoder's decoder; 0 in other families.</summary>
    public int DecoderLayers { get; init; }

    /// <summary>H, query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>G, key/value heads; each serves H/G query heads.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>F, hidden elements of the feed-forward part.</summary>
    public required int FeedForward { get; init; }

    /// <summary>The feed-forward part of a T5 is gated: GELU of one product times another. Otherwise it has one product and ReLU.</summary>
    public bool GatedFeedForward { get; init; }

    /// <summary>The longest sequence, prompt and answer together; of an encoder-decoder the longest of each.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Classes of distances that T5's attention tells apart; 0 in other families.</summary>
    public int RelativeBuckets { get; init; }

    /// <summary>From this distance on all are of one class.</summary>
    public int RelativeMaxDistance { get; init; }

    /// <summary>Kinds of segments that tokens may belong to; 0 in families without them.</summary>
    public int TypeVocabularySize { get; init; }

    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Base of the rotary frequencies; GPT-2 and BERT learn their positions and have none.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>The output head is the embedding table.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Standard deviation of fresh weights; of a T5, which has one for each kind of matrix, the factor of all of them.</summary>
    public double InitializerRange { get; init; } = 0.02;

    public int? BosTokenId { get; init; }

    public int? EosTokenId { get; init; }

    /// <summary>Fills up rows of a batch; decoders do not name it.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>What an encoder-decoder's answer begins with.</summary>
    public int? DecoderStartTokenId { get; init; }

    /// <summary>C, what an encoder tells texts apart by, in the order of its scores; none where it finds hidden tokens.</summary>
    public ImmutableArray<string> Labels { get; init; } = [];

    /// <summary>K, elements of one head: D/H, but for families that name it.</summary>
    public int HeadSize { get => field > 0 ? field : Width / Heads; init; }

    /// <summary>H·K, elements of all queries of one position.</summary>
    public int QueryWidth => Heads * HeadSize;

    /// <summary>G·K, elements of all keys of one position.</summary>
    public int KeyValueWidth => KeyValueHeads * HeadSize;

    /// <summary>Positions enter by rotating queries and keys; otherwise a learned vector is added to each embedding.</summary>
    public bool IsRotary => Family is ModelFamily.Llama or ModelFamily.Qwen2;

    /// <summary>Every token sees the whole sequence, so the model fills in what is missing and continues nothing.</summary>
    public bool IsEncoder => Family == ModelFamily.Bert;

    /// <summary>An encoder that gives each text a label, Hugging Face's <c>BertForSequenceClassification</c>.</summary>
    public bool IsClassifier => !Labels.IsEmpty;

    /// <summary>One text is read whole and another is written.</summary>
    public bool IsEncoderDecoder => Family == ModelFamily.T5;

    /// <summary>Texts are continued.</summary>
    public bool IsDecoder => !IsEncoder && !IsEncoderDecoder;

    /// <summary>What it is in a sentence: a decoder, an encoder, an encoder-decoder.</summary>
    public string Kind => IsEncoderDecoder ? "an encoder-decoder" : IsEncoder ? "an encoder" : "a decoder";

    /// <summary>The name of the family in files: <c>gpt2</c>, <c>llama</c>, <c>qwen2</c>, <c>bert</c>, <c>t5</c>.</summary>
    public string ModelType => ModelConfigJson.TypeOf(Family);

    /// <summary>
    /// Reads a model section or <c>config.json</c>. The key <c>preset</c> names a preset whose values the other keys replace.
    /// Throws <see cref="GraphException"/> with all mistakes at once.
    /// </summary>
    /// <param name="json">An object with the names of the family.</param>
    /// <param name="strict">Refuse unknown keys, as in our own run files; files of others hold keys that we do not need.</param>
    public static ModelConfig Parse(JsonElement json, bool strict) => ModelConfigJson.Parse(json, strict);

    /// <inheritdoc cref="Parse(JsonElement, bool)"/>
    public static ModelConfig Parse(JsonObject json, bool strict) => Parse(JsonSerializer.SerializeToElement(json), strict);

    /// <summary>The settings of dropout in a <c>config.json</c> that are not 0. Nothing here drops anything, so whoever trains on should know.</summary>
    public static IReadOnlyList<string> DropoutsIn(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. ModelConfigJson.DropoutsOf(document.RootElement)];
    }

    /// <summary>Reads a <c>config.json</c> written by us or by Hugging Face.</summary>
    public static ModelConfig Load(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return Parse(document.RootElement, strict: false);
        }
        catch (JsonException e)
        {
            throw new GraphException($"{path} is not valid JSON: {e.Message}");
        }
    }

    /// <summary>A published model by name, such as <c>gpt2</c> or <c>llama-7b</c>.</summary>
    public static ModelConfig Preset(string name) => ModelPresets.Find(name);

    /// <summary>The contents of <c>config.json</c>, accepted by <see cref="Parse(JsonObject, bool)"/> in strict mode too.</summary>
    public JsonObject ToJson() => ModelConfigJson.Write(this);

    /// <summary>With the special tokens of a tokenizer where none are named. The answers of an encoder-decoder then begin with its padding, as T5's do.</summary>
    public ModelConfig WithTokens(int? bos, int? eos, int? pad) => this with
    {
        BosTokenId = BosTokenId ?? bos,
        EosTokenId = EosTokenId ?? eos,
        PadTokenId = PadTokenId ?? (IsDecoder ? null : pad),
        DecoderStartTokenId = DecoderStartTokenId ?? (IsEncoderDecoder ? PadTokenId ?? pad : null),
    };

    /// <summary>Returns this configuration, or throws <see cref="GraphException"/> with everything that is wrong with it.</summary>
    public ModelConfig Validated()
    {
        string[] mistakes = [.. Mistakes()];
        return mistakes.Length == 0 ? this : throw new GraphException($"Model configuration: {string.Join(" ", mistakes)}");
    }

    internal IEnumerable<string> Mistakes()
    {
        var names = ModelConfigJson.NamesOf(Family);
        foreach (var (name, value) in names.Sizes(this))
            if (value < 1) yield return $"'{name}' must be at least 1, got {value}.";
        if (IsEncoderDecoder) foreach (string mistake in T5ConfigJson.Mistakes(this)) yield return mistake;
        else if (Heads > 0 && Width % Heads != 0) yield return $"'{names.Heads}' {Heads} must divide '{names.Width}' {Width}.";
        else if (IsRotary && Heads > 0 && HeadSize % 2 != 0)
            yield return $"The size of a head, {Width} / {Heads} = {HeadSize}, must be even for rotary positions.";
        if (KeyValueHeads > 0 && Heads % KeyValueHeads != 0) yield return $"'{names.KeyValueHeads}' {KeyValueHeads} must divide '{names.Heads}' {Heads}.";
        if (!(NormEpsilon > 0)) yield return FormattableString.Invariant($"'{names.NormEpsilon}' must be positive, got {NormEpsilon}.");
        if (IsRotary && !(RopeTheta > 0)) yield return FormattableString.Invariant($"'rope_theta' must be positive, got {RopeTheta}.");
        if (!(InitializerRange >= 0)) yield return FormattableString.Invariant($"'initializer_range' must not be negative, got {InitializerRange}.");
        foreach (var (name, id) in new[] { ("bos_token_id", BosTokenId), ("eos_token_id", EosTokenId), ("pad_token_id", PadTokenId) })
            if (id < 0 || id >= VocabularySize) yield return $"'{name}' {id} is outside the vocabulary of {VocabularySize}.";
        if (Labels.Length == 1) yield return "'id2label' needs two labels at least: with one there is nothing to tell apart.";
        if (Labels.Distinct().Count() < Labels.Length) yield return "'id2label' has a label twice.";
    }
}
