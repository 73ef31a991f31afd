using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using OnnxLlm.Text.Bpe;
using OnnxLlm.Text.Files;

namespace OnnxLlm.Text;

/// <summary>
/// Text to token ids and back, by byte-level BPE with GPT-2's pre-tokenisation or by BPE as SentencePiece does it for LLaMA. Every byte string has ids and
/// comes back unchanged, but for SentencePiece's own sign U+2581, which it takes for a space. Safe for several threads.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerModel _model;
    private readonly IBpe _bpe;
    private readonly AddedTokens _ordinary, _all, _maskOnly;
    private readonly bool[] _special;
    private readonly Lazy<string> _hash;

    internal Tokenizer(TokenizerModel model)
    {
        _model = model;
        _bpe = model.Bpe();
        _all = new AddedTokens(model.Added);
        _ordinary = new AddedTokens(model.Added.Where(t => !t.Special));
        _maskOnly = new AddedTokens(model.Added.Where(t => !t.Special || t.Id == model.Special.Mask));
        _special = new bool[model.Tokens.Length];
        foreach (var token in model.Added.Where(t => t.Special))
            _special[token.Id] = true;
        _hash = new(() => Checksum.Of(TokenizerWriter.Canonical(model)));
    }

    /// <summary>
    /// Reads a folder with <c>tokenizer.json</c>, or <c>vocab.json</c> and <c>merges.txt</c> (or, with GPT-2's own names, <c>encoder.json</c>
    /// and <c>vocab.bpe</c>); <c>tokenizer_config.json</c>, where present, gives the special tokens' roles and the chat template.
    /// </summary>
    /// <exception cref="TextException">A file is missing, malformed, or asks for what this tokenizer does not do.</exception>
    public static Tokenizer Load(string folder) => new(TokenizerReader.Read(folder));

    /// <summary>Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json, each replaced atomically.</summary>
    public void Save(string folder) => TokenizerWriter.Write(_model, folder);

    /// <summary>Ids are below this number.</summary>
    public int VocabularySize => _model.Tokens.Length;

    /// <summary>What <c>tokenizer_config.json</c> calls it: the class that other libraries load it with.</summary>
    public string ClassName => _model.ClassName;

    public SpecialTokens Special => _model.Special;

    /// <summary>The Jinja template that turns chat messages into a prompt, or null where the tokenizer has none.</summary>
    public string? ChatTemplate => _model.ChatTemplate;

    /// <summary>SHA-256 (hex) of vocabulary, merges and special tokens: equal hashes, equal ids for every text.</summary>
    public string Hash => _hash.Value;

    /// <summary>The ids of a text. Lone surrogates count as U+FFFD.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="allowSpecial">
    /// True where the text is a trusted template: spellings of special tokens become those tokens. False (the default) for what users
    /// write: such spellings are ordinary characters.
    /// </param>
    public int[] Encode(string text, bool allowSpecial = false) => Encode(text, allowSpecial ? _all : _ordinary);

    /// <summary>The ids of a text in which the spelling of the mask, but of no other special token, stands for that token.</summary>
    public int[] EncodeMasked(string text) => Encode(text, _maskOnly);

    private int[] Encode(string text, AddedTokens added)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>((text.Length / 3) + 8);
        int start = 0;
        while (added.Find(text, start, out int position) is { } token)
        {
            var before = text.AsSpan(start, position - start);
            EncodeOrdinary(token.TakesBlanks ? before.TrimEnd() : before, start == 0, ids);
            ids.Add(token.Id);
            start = position + token.Content.Length;
        }
        EncodeOrdinary(text.AsSpan(start), start == 0, ids);
        return [.. ids];
    }

    /// <summary>The ids of any bytes, valid UTF-8 or not. Special tokens are never produced.</summary>
    public int[] Encode(ReadOnlySpan<byte> bytes)
    {
        var ids = new List<int>((bytes.Length / 3) + 8);
        _bpe.Encode(bytes, begins: true, ids);
        return [.. ids];
    }

    /// <summary>The ids of a text as a model reads it: behind the token that begins a sequence, where this tokenizer's models expect one.</summary>
    public int[] EncodePrompt(string text) => Special is { AddsBos: true, Bos: { } bos } ? [bos, .. Encode(text)] : Encode(text);

    /// <summary>The ids of a text as a classifier reads it: behind the token that begins a sequence, or else the one between documents. At that token it gives its answer.</summary>
    /// <exception cref="TextException">This tokenizer has neither.</exception>
    public int[] EncodeClassified(string text) => [Special.Bos ?? Special.Eos ?? throw new TextException("the tokenizer has no token that begins a sequence, and none between documents"), .. Encode(text)];

    /// <summary>The text of token ids; bytes that are not valid UTF-8 become U+FFFD.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true) => Encoding.UTF8.GetString(DecodeBytes(ids, skipSpecial));

    /// <summary>The bytes of token ids: of <see cref="Encode(ReadOnlySpan{byte})"/> the inverse.</summary>
    public byte[] DecodeBytes(ReadOnlySpan<int> ids, bool skipSpecial = true)
    {
        var bytes = new List<byte>(ids.Length * 4);
        foreach (int id in ids)
            if (!(skipSpecial && IsSpecial(id)))
                bytes.AddRange(Bytes(id));
        return [.. _bpe.WithoutPrefix(CollectionsMarshal.AsSpan(bytes))];
    }

    /// <summary>The bytes that a token stands for; for a special token its spelling; none for an id that the vocabulary skips.</summary>
    /// <exception cref="TextException">The id is outside the vocabulary.</exception>
    public ReadOnlySpan<byte> Bytes(int id) => (uint)id < (uint)_model.Tokens.Length ? _model.Tokens[id] : throw Outside(id);

    /// <exception cref="TextException">The id is outside the vocabulary.</exception>
    public bool IsSpecial(int id) => (uint)id < (uint)_special.Length ? _special[id] : throw Outside(id);

    /// <summary>Starts an incremental decoding.</summary>
    public TokenStream Stream(bool skipSpecial = true) => new(this, skipSpecial);

    private void EncodeOrdinary(ReadOnlySpan<char> text, bool begins, List<int> ids)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        int length = Encoding.UTF8.GetBytes(text, buffer);
        _bpe.Encode(buffer.AsSpan(0, length), begins, ids);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private TextException Outside(int id) => new($"token id {id} is outside the vocabulary of {VocabularySize}");
}
