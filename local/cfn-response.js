// `cfn-response`: how a function with inline code answers for a custom resource. The counterpart of
// cfnresponse.py: AWS adds a module of this name to JavaScript that a template has in `ZipFile`.

exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";

exports.send = function (event, context, responseStatus, responseData, physicalResourceId, noEcho) {
  const body = JSON.stringify({
    Status: responseStatus,
    Reason: `See the details in CloudWatch Log Stream: ${context.logStreamName}`,
    PhysicalResourceId: physicalResourceId || context.logStreamName,
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
    NoEcho: noEcho || false,
    Data: responseData,
  });
  const url = new URL(event.ResponseURL);
  const { request } = require(url.protocol === "https:" ? "https" : "http");
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  const done = (text) => {
    console.log(text);
    context.done?.();
  };
  return new Promise((resolve) => {
    const sending = request(url, { method: "PUT", headers }, (reply) => {
      reply.resume();
      done(`Status code: ${reply.statusCode}`);
      resolve();
    });
    sending.on("error", (error) => {
      done(`send(..) failed executing https.request(..): ${error}`);
      resolve();
    });
    sending.end(body);
  });
};
