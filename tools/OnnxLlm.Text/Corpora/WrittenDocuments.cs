using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace OnnxLlm.Text.Corpora;

/// <summary>Gives documents their split, writes them, and keeps count.</summary>
/// <param name="threshold">Documents whose hash is below are held out.</param>
/// <param name="filter">What may not stand in the corpus.</param>
/// <param name="problems">What the reader passed over, as it goes.</param>
internal sealed class WrittenDocuments(ulong threshold, CorpusFilter filter, IReadOnlyList<string> problems)
{
    public IReadOnlyList<string> Problems => problems;

    /// <summary>What the filter did; null where there is none.</summary>
    public CorpusFiltering? Filtering => filter.Counts;

    public CorpusPart Train { get; private set; } = new(0, 0);

    public CorpusPart Valid { get; private set; } = new(0, 0);

    public ulong LeastHash { get; private set; } = ulong.MaxValue;

    public ulong GreatestHash { get; private set; }

    public void Write(Stream stream, SourceDocument document)
    {
        if (filter.Pass(document.Text) is not { } kept) return;
        byte[] text = Encoding.UTF8.GetBytes(kept);
        ulong hash = BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(text));
        (LeastHash, GreatestHash) = (Math.Min(LeastHash, hash), Math.Max(GreatestHash, hash));
        bool isValid = hash < threshold;
        if (isValid)
            Valid = Valid.Plus(text.Length);
        else
            Train = Train.Plus(text.Length);
        Corpus.WriteLine(stream, new Document(document.Id, document.Source, kept, isValid ? Split.Valid : Split.Train));
    }
}
