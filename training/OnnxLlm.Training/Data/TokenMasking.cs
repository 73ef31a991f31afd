using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Data;

/// <summary>
/// Hides tokens that an encoder has to find (Devlin et al. 2018): most of those chosen become the mask, some any other token, some stay. Which, is a pure
/// function of the seed and the number of the draw, so each epoch hides others and a resume the same.
/// </summary>
/// <param name="mask">Id of the mask.</param>
/// <param name="ordinary">Ids of the tokens that are not special: only they are hidden, and only they stand in for others.</param>
internal sealed class TokenMasking(MaskingConfig config, int mask, IEnumerable<int> ordinary, long seed)
{
    private readonly int[] _ordinary = [.. ordinary];
    private readonly HashSet<long> _known = [.. ordinary.Select(id => (long)id)];

    /// <summary>
    /// Hides some of the <paramref name="ids"/>; labels, the ids themselves so far, stay only where one was. Returns how many: the wanted share of the ordinary ones,
    /// rounded down or up at random such that its mean is the share, but at least one.
    /// </summary>
    public int Hide(long draw, Span<long> ids, Span<long> labels)
    {
        var series = Chance.Mix(Chance.Mix((ulong)seed) ^ (ulong)draw);
        var left = Count(ids);
        var wanted = Math.Min(left, Math.Max(1, (int)(left * config.Rate + Chance.Uniform(series, 0))));
        var hidden = 0;
        for (var t = 0; t < ids.Length; t++)
        {
            // Of those that are left each is as likely as any other (Knuth, algorithm S).
            var chosen = _known.Contains(ids[t]) && Chance.Uniform(series, 3 * t + 1) * left-- < wanted - hidden;
            if (!chosen) labels[t] = BatchRow.Ignored;
            else
            {
                ids[t] = Seen(ids[t], Chance.Uniform(series, 3 * t + 2), Chance.Uniform(series, 3 * t + 3));
                hidden++;
            }
        }
        return hidden;
    }

    private int Count(ReadOnlySpan<long> ids)
    {
        var count = 0;
        foreach (var id in ids) if (_known.Contains(id)) count++;
        return count;
    }

    private long Seen(long id, double kind, double which) =>
        kind < config.Mask ? mask
        : kind < config.Mask + config.Random ? _ordinary[(int)(which * _ordinary.Length)]
        : id;
}
