using System.Collections.Concurrent;

namespace OnnxLlm.Serving.Metrics;

/// <summary>A whole number that only grows, one per combination of label values.</summary>
internal sealed class Counter(string name, string help, params string[] labels) : IInstrument
{
    private readonly ConcurrentDictionary<string, long> _values = new(StringComparer.Ordinal);

    /// <param name="values">In the order of the label names.</param>
    public void Add(long amount, params string[] values) => _values.AddOrUpdate(Key(values), amount, (_, sum) => sum + amount);

    public long Value(params string[] values) => _values.GetValueOrDefault(Key(values));

    public void Head(PrometheusText text) => text.Head(name, help, "counter");

    public void Write(PrometheusText text)
    {
        if (labels.Length == 0 && _values.IsEmpty) text.Line(name, "", 0);
        foreach (var (key, sum) in _values.OrderBy(pair => pair.Key, StringComparer.Ordinal)) text.Line(name, key, sum);
    }

    private string Key(string[] values) => values.Length == 0 ? "" : string.Join(',', labels.Zip(values, PrometheusText.Label));
}
