namespace OnnxLlm.Training.Configuration;

/// <summary>Where the records of a run go besides <c>metrics.jsonl</c>.</summary>
public sealed record TrackingConfig
{
    /// <summary>Writes event files into the run's folder <c>tensorboard</c>.</summary>
    public bool Tensorboard { get; init; }

    /// <summary>Address of an MLflow server, such as http://localhost:5000.</summary>
    public string? Mlflow { get; init; }

    /// <summary>MLflow's experiment that the run belongs to.</summary>
    public string Experiment { get; init; } = "onnxllm";

    /// <summary>What the machine can do at best, in GFLOP/s; with it, the log says which share of that the model's arithmetic makes (MFU).</summary>
    public double? PeakGflops { get; init; }

    /// <summary>Grams of CO2 for a kilowatt hour of the place's electricity; with it, the log says what the measured energy comes to.</summary>
    public double? Co2GramsPerKwh { get; init; }

    /// <summary>What is wrong with <see cref="Mlflow"/>, or null.</summary>
    internal string? AddressMistake => Mlflow is null ? null
        : !Uri.TryCreate(Mlflow, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") ? $"tracking.mlflow: '{Mlflow}' is no http or https address"
        : address.UserInfo.Length > 0 ? "tracking.mlflow: must not hold a password, which run.json would repeat; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        : null;
}
