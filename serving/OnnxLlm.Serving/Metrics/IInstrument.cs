namespace OnnxLlm.Serving.Metrics;

/// <summary>Something that can write itself as Prometheus text.</summary>
internal interface IInstrument
{
    /// <summary>What it is; once, however many models have one.</summary>
    void Head(PrometheusText text);

    void Write(PrometheusText text);
}
