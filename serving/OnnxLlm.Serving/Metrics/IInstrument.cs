namespace OnnxLlm.Serving.Metrics;

/// <summary>Something that can write itself as Prometheus text, under its name or under one that others have for it.</summary>
internal interface IInstrument
{
    string Name { get; }

    /// <summary>What it is; once, however many models have one.</summary>
    /// <param name="shown">The name to write it under.</param>
    void Head(PrometheusText text, string shown);

    void Write(PrometheusText text, string shown);
}
