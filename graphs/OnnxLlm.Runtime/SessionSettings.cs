using OnnxLlm.Graphs;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Runtime;

/// <summary>How a session runs. The defaults suit both training and serving on CPU.</summary>
public sealed record SessionSettings
{
    /// <summary>What computes. A device that cannot be used is an error; nothing ever moves to the CPU instead.</summary>
    public Device Device { get; init; }

    /// <summary>On a GPU: the first run of a binding records what is launched, later runs replay it as one. The first run then executes the graph several times.</summary>
    public bool Capture { get; init; }

    /// <summary>On a GPU: a node that has to run on the CPU is an error. Off for graphs whose shapes are worked out as they run.</summary>
    public bool Strict { get; init; } = true;

    /// <summary>On a GPU: float32 products may round their operands to 10 bits (TF32). Off for comparisons.</summary>
    public bool ReducedProducts { get; init; } = true;

    /// <summary>
    /// On a GPU: of activations, float weights and cache of a model that answers. Float16 is the more precise of the two (11 bits, to 65504); bfloat16 (8 bits) goes as far as float32. On the CPU they are
    /// float32 always.
    /// </summary>
    public ElementType ActivationType { get; init; } = ElementType.Float16;

    /// <summary>
    /// Of a quantized package: products with its 8-bit weights (true), or with the same weights as floats, two to four times the memory (false). Null: as they are,
    /// except on a GPU on which they were measured to be slower (<see cref="ModelPackage.QuantizationSpeedup(Device)"/>).
    /// </summary>
    public bool? QuantizedWeights { get; init; }

    /// <summary>Threads inside one operator, the caller's included; 0 = every core this process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Registers the C# kernels of the <c>onnxllm</c> functions. Off: their bodies run instead, which double-typed graphs need.</summary>
    public bool Kernels { get; init; } = true;

    /// <summary>Prefix of the profile that <see cref="OrtSession.EndProfiling"/> completes; null = no profiling.</summary>
    public string? ProfilePrefix { get; init; }

    /// <summary>Plan all activations as one block per input shape. Off by default: it costs nearly twice the memory for no speed.</summary>
    public bool MemoryPattern { get; init; }

    /// <summary>The most bytes that activations of all sessions with this setting take together; 0 = no limit. Exceeding it is an error of the run.</summary>
    public long MemoryLimit { get; init; }

    /// <summary>When a run ends, the memory of its activations goes back to the system, which takes the next run some time to get again. For sessions that take turns with something that needs it meanwhile. CPU only.</summary>
    public bool GivesBackMemory { get; init; }

    /// <summary>Idle workers spin for a moment before they sleep: faster steps, at the price of other programs' time.</summary>
    public bool Spinning { get; init; } = true;

    /// <summary>Workers that spin go on spinning for a moment after a run. Off: they sleep as soon as it ends, and spin only between its operators.</summary>
    public bool SpinningBetweenRuns { get; init; } = true;
}
