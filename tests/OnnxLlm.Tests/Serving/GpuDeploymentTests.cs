using OnnxLlm.Tests.Support;
using OnnxLlm.Training.Commands;
using YamlDotNet.RepresentationModel;

namespace OnnxLlm.Tests.Serving;

/// <summary>The container images, and the patches that move the deployments to GPUs.</summary>
public sealed class GpuDeploymentTests
{
    private static readonly string[] Dockerfile = File.ReadAllLines(Repository.PathOf("Dockerfile"));

    [Theory]
    [InlineData("server", "OnnxLlm.Serving")]
    [InlineData("runner", "OnnxLlm.Training")]
    public void Image_OfEachProgram_IsPublishedAndStartedAsAnUnprivilegedUser(string name, string program)
    {
        string[] image = Stage(name), build = Stage($"build-{name}");
        Assert.Contains($"RUN .ci/publish {name} /app -p:Accelerator=${{ACCELERATOR}}", build);
        Assert.Contains("ARG ACCELERATOR", build);
        Assert.Contains($"COPY --from=build-{name} /app /app", image);
        Assert.Contains($"ENTRYPOINT [\"/app/{program}\"]", image);
        Assert.Equal($"FROM runtime AS {name}", image[0]);
        Assert.Contains("USER 10001", Stage("runtime"));
    }

    [Fact]
    public void Image_ForCuda_HasTheLibrariesThatTheProviderIsLinkedTo()
    {
        Assert.StartsWith("FROM nvidia/cuda:13.", Stage("runtime-cuda")[0], StringComparison.Ordinal);
        Assert.Contains("-cudnn-runtime-", Stage("runtime-cuda")[0], StringComparison.Ordinal);
        Assert.Equal("FROM runtime-${ACCELERATOR} AS runtime", Stage("runtime")[0]);
        Assert.Contains("ENV ONNXLLM_DEVICE=${ACCELERATOR}", Stage("server"));
        Assert.Equal("server", Dockerfile.Last(line => line.StartsWith("FROM ", StringComparison.Ordinal)).Split(' ')[^1]);
    }

    /// <summary>A patch finds its container by name; what it names otherwise would be a second container.</summary>
    [Theory]
    [InlineData("server", "Deployment", "onnxllm:cuda")]
    [InlineData("training-job", "Job", "onnxllm-training:cuda")]
    public void Patch_AsksForOneGpu_InTheContainerThatThereIs(string file, string kind, string image)
    {
        var patched = Container(DeploymentFile.Read("kubernetes", $"{file}-gpu.yaml").Single());
        var whole = Container(DeploymentFile.Find($"{file}.yaml", kind));
        Assert.Equal(whole["name"], patched["name"]);
        Assert.Equal(image, patched["image"].ToString());
        Assert.Equal("1", patched["resources"]["limits"]["nvidia.com/gpu"].ToString());
    }

    [Fact]
    public void Patch_OfTheRun_TrainsOnTheGpu()
    {
        string script = Container(DeploymentFile.Read("kubernetes", "training-job-gpu.yaml").Single())["args"][0].ToString();
        string[] arguments = script[script.IndexOf("train /configs", StringComparison.Ordinal)..script.LastIndexOf(';')].Split(' ');
        var parsed = TrainCommand.Create().Parse(arguments[1..]);
        Assert.Empty(parsed.Errors);
        Assert.Equal("cuda", arguments[Array.IndexOf(arguments, "--device") + 1]);
    }

    /// <summary>A stage's instructions.</summary>
    private static string[] Stage(string name) =>
        [.. Dockerfile.SkipWhile(line => !line.EndsWith($" AS {name}", StringComparison.Ordinal)).TakeWhile((line, i) => i == 0 || !line.StartsWith("FROM ", StringComparison.Ordinal))];

    private static YamlNode Container(YamlNode document) => document["spec"]["template"]["spec"]["containers"][0];
}
