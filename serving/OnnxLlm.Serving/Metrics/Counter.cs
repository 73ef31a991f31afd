using System.Collections.Concurrent;

namespace OnnxLlm.Serving.Metrics;

/// <summary>A whole number that only grows, one per combination of label values.</summary>
internal sealed class Counter(string name, string help, params string[] labels) : IInstrument
{
    private readonly ConcurrentDictionary<string, CounterCell> _cells = new(StringComparer.Ordinal);
    private CounterCell? _only;

    public string Name => name;

    /// <summary>Of a counter without labels.</summary>
    public void Add(long amount) => (_only ??= Of()).Add(amount);

    /// <param name="values">In the order of the label names.</param>
    public void Add(long amount, params string[] values) => Of(values).Add(amount);

    /// <summary>The number of these label values, for those who count it often.</summary>
    public CounterCell Of(params string[] values) => _cells.GetOrAdd(Key(values), _ => new CounterCell());

    public long Value(params string[] values) => _cells.TryGetValue(Key(values), out var cell) ? cell.Value : 0;

    public void Head(PrometheusText text, string shown) => text.Head(shown, help, "counter");

    public void Write(PrometheusText text, string shown)
    {
        if (labels.Length == 0 && _cells.IsEmpty) text.Line(shown, "", 0);
        foreach (var (key, cell) in _cells.OrderBy(pair => pair.Key, StringComparer.Ordinal)) text.Line(shown, key, cell.Value);
    }

    private string Key(string[] values) => values.Length == 0 ? "" : string.Join(',', labels.Zip(values, PrometheusText.Label));
}

/// <summary>One number of a counter.</summary>
internal sealed class CounterCell
{
    private long _value;

    public long Value => Volatile.Read(ref _value);

    public void Add(long amount) => Interlocked.Add(ref _value, amount);
}
