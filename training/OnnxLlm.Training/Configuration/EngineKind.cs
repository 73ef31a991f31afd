using System.Text.Json.Serialization;

namespace OnnxLlm.Training.Configuration;

/// <summary>What runs the training graphs.</summary>
public enum EngineKind
{
    /// <summary>Stock ONNX Runtime, through ordinary sessions.</summary>
    Onnx,

    /// <summary>The genuine ORT Training runtime, through <c>TrainingSession</c> and <c>CheckpointState</c>.</summary>
    [JsonStringEnumMemberName("ort-training")]
    OrtTraining,
}
