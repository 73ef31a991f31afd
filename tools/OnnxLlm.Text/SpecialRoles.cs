using System.Collections.Immutable;

namespace OnnxLlm.Text;

/// <summary>What well-known spellings of special tokens mean where no file says so.</summary>
internal static class SpecialRoles
{
    private static readonly string[] Bos = ["<s>", "<|endoftext|>"];
    private static readonly string[] Eos = ["</s>", "<|endoftext|>"];
    private static readonly string[] Pad = ["<pad>", "<|pad|>"];
    private static readonly string[] Unk = ["<unk>"];
    private static readonly string[] Mask = ["<mask>", "[MASK]"];

    public static IEnumerable<string> Known => [.. Bos, .. Eos, .. Pad, .. Unk, .. Mask];

    public static bool IsMask(string spelling) => Mask.Contains(spelling);

    public static SpecialTokens Of(IEnumerable<AddedToken> added)
    {
        var ids = Ids(added);
        return new SpecialTokens { Bos = First(ids, Bos), Eos = First(ids, Eos), Pad = First(ids, Pad), Unk = First(ids, Unk), Mask = First(ids, Mask), Ids = ids };
    }

    public static ImmutableSortedDictionary<string, int> Ids(IEnumerable<AddedToken> added)
        => added.Where(t => t.Special).ToImmutableSortedDictionary(t => t.Content, t => t.Id, StringComparer.Ordinal);

    private static int? First(ImmutableSortedDictionary<string, int> ids, string[] spellings)
        => spellings.Where(ids.ContainsKey).Select(spelling => (int?)ids[spelling]).FirstOrDefault();
}
