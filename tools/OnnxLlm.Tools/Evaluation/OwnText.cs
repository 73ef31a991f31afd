using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Runtime;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Evaluation;

/// <summary>
/// Text that a model writes itself, drawn from its own distribution: what to compare it with its quantized form on where no text of its training is at hand.
/// Each window of the evaluation is one sequence from its beginning. The same model, size and number of tokens give the same text.
/// </summary>
internal sealed class OwnText : IDisposable
{
    private const int Seed = 7, Rows = 16;

    private readonly GenerationSession _session;
    private readonly int _first;

    private OwnText(ModelPackage package, Tokenizer tokenizer, int threads)
    {
        _first = package.Config.BosTokenId ?? tokenizer.Special.Bos ?? package.Config.EosTokenId ?? 0;
        _session = new GenerationSession(package, Rows, package.Config.MaxPositions, new SessionSettings { Threads = threads });
    }

    /// <summary>Stands for the hash of token shards.</summary>
    public static string Name(string package) => FormattableString.Invariant($"own text of {PackageManifest.Read(package).ModelHash}, seed {Seed}");

    /// <param name="folder">The float package.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="tokens">Tokens to be scored. The unigram model is counted on other text of the same kind.</param>
    /// <param name="threads">Threads of the runtime; 0 = all cores.</param>
    public static EvaluationData Write(string folder, Tokenizer tokenizer, int tokens, int threads)
    {
        if (tokens < 1) throw new ToolException($"At least one token must be scored, not {tokens}.");
        using var own = new OwnText(ModelPackage.Open(folder), tokenizer, threads);
        var unigram = new UnigramBaseline(own._session.VocabularySize);
        int[] other = own.Windows(seed: Seed - 1, Rows * own._session.MaxLength);
        unigram.Count(other);
        int[] text = own.Windows(Seed, tokens + 1);
        return new(new(text[..(tokens + 1)], id => tokenizer.IsSpecial(id) ? 0 : tokenizer.Bytes(id).Length), unigram, other[..Math.Min(other.Length, EvaluationData.MostCalibration)], Name(folder));
    }

    public void Dispose() => _session.Dispose();

    /// <summary>Whole windows, at least so many tokens of them.</summary>
    private int[] Windows(int seed, int tokens)
    {
        int length = _session.MaxLength, count = (tokens + length - 1) / length;
        int[] text = new int[count * length];
        for (int window = 0; window < count; window += Rows) Fill(text.AsSpan(window * length), Math.Min(Rows, count - window), new Random(HashCode(seed, window)));
        return text;
    }

    private static int HashCode(int seed, int window) => unchecked(seed * 1_000_003 + window);

    /// <summary>So many sequences side by side, each from its beginning to the longest length.</summary>
    private void Fill(Span<int> text, int rows, Random random)
    {
        int length = _session.MaxLength, vocabulary = _session.VocabularySize;
        Span<int> tokens = stackalloc int[Rows], pasts = stackalloc int[Rows];
        tokens.Fill(_first);
        for (int at = 0; at < length; at++)
        {
            for (int row = 0; row < rows; row++) text[row * length + at] = tokens[row];
            pasts.Fill(at);
            var logits = _session.Decode(tokens[..rows], pasts[..rows]);
            for (int row = 0; row < rows; row++) tokens[row] = Draw(logits.Slice(row * vocabulary, vocabulary), random.NextDouble());
        }
    }

    private static int Draw(ReadOnlySpan<float> logits, double chance)
    {
        float largest = logits[0];
        foreach (float logit in logits) largest = Math.Max(largest, logit);
        double total = 0, passed = 0;
        foreach (float logit in logits) total += MathF.Exp(logit - largest);
        for (int id = 0; id < logits.Length; id++)
            if ((passed += MathF.Exp(logits[id] - largest)) > chance * total) return id;
        return logits.Length - 1;
    }
}
