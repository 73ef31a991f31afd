using Google.Protobuf;
using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Cuda;
using OnnxLlm.Graphs.Generation;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Runtime;

/// <summary>
/// The sessions of a generation graph: on the CPU one for everything; on a GPU one for prompts, and one for single tokens, whose extents are fixed so that
/// its runs are recorded and replayed. Each of the two has its own copy of the weights.
/// </summary>
internal sealed class GenerationModel : IDisposable
{
    /// <summary>Of activations, float weights and cache on a GPU: the attention there knows nothing wider, and of the two it is the more precise.</summary>
    private const ElementType Narrow = ElementType.Float16;

    private GenerationModel(OrtSession prompts, OrtSession tokens) => (Prompts, Tokens) = (prompts, tokens);

    /// <summary>Runs any call.</summary>
    public OrtSession Prompts { get; }

    /// <summary>Runs one new token for each of some slots.</summary>
    public OrtSession Tokens { get; }

    /// <summary><see cref="Tokens"/> wants masks as long as a slot.</summary>
    public bool IsFixed => Tokens != Prompts;

    /// <summary>Of keys and values.</summary>
    public ElementType CacheType => Prompts.Input(GenerationGraph.PastKey(0)).Type;

    /// <param name="package">The model.</param>
    /// <param name="settings">How and where it runs.</param>
    /// <param name="length">Positions of a slot.</param>
    public static GenerationModel Open(ModelPackage package, SessionSettings settings, long length)
    {
        bool widened = package.Quantization is not null && !package.RunsQuantized(settings);
        if (!settings.Device.IsCuda)
        {
            var session = widened ? new OrtSession(WidenedWeights.Of(OnnxFile.Read(package.ModelPath)).ToByteArray(), settings) : new OrtSession(package.ModelPath, settings);
            return new(session, session);
        }
        settings.Device.Require();
        ModelProto model = OnnxFile.Read(package.ModelPath);
        if (widened) model = WidenedWeights.Of(model);
        var prompts = new OrtSession(CudaGeneration.ForPrompts(model, Narrow).ToByteArray(), settings with { Strict = false, Capture = false });
        try
        {
            return new(prompts, new OrtSession(CudaGeneration.ForTokens(model, Narrow, length).ToByteArray(), settings with { Strict = true, Capture = true }));
        }
        catch
        {
            prompts.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Prompts.Dispose();
        if (IsFixed) Tokens.Dispose();
    }
}
