using System.Runtime.InteropServices;
using OnnxLlm.Training.Data;

namespace OnnxLlm.Training;

/// <summary>Counts how often a classifier's likeliest label is the right one, and how often always giving the same answer would be.</summary>
internal sealed class AnswerStatistics
{
    private readonly Dictionary<long, long> _labels = [];
    private long _right;

    /// <summary>Share of right answers; null where there were none.</summary>
    public double? Accuracy => Share(_right);

    /// <summary>Share of the most frequent label; null where there were no answers.</summary>
    public double? Majority => Share(_labels.Values.DefaultIfEmpty().Max());

    /// <summary>Adds the answers whose label is not ignored.</summary>
    public void Add(ReadOnlySpan<long> answers, ReadOnlySpan<long> labels)
    {
        for (var i = 0; i < answers.Length; i++)
        {
            if (labels[i] == BatchRow.Ignored) continue;
            CollectionsMarshal.GetValueRefOrAddDefault(_labels, labels[i], out _)++;
            if (answers[i] == labels[i]) _right++;
        }
    }

    private double? Share(long count) => _labels.Count == 0 ? null : count / (double)_labels.Values.Sum();
}
